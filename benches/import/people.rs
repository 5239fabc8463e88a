//! Users as Zendesk's incremental export has them, one object a line.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::Result;

const FIRST: [&str; 16] = [
    "Anna", "Bert", "Carla", "Dieter", "Emma", "Fritz", "Greta", "Hans", "Ines", "Jan", "Karin", "Lars",
    "Mona", "Nils", "Olga", "Paul",
];

const LAST: [&str; 12] = [
    "Miller", "Schmidt", "Garcia", "Rossi", "Novak", "Dubois", "Jansen", "Olsen", "Silva", "Kumar", "Weber",
    "Sato",
];

/// Writes so many. Names repeat, addresses come in no order.
pub(crate) fn write(path: &Path, rows: u64) -> Result<()> {
    let style = ProgressStyle::with_template("making {bar:40} {human_pos} of {human_len} users")?;
    let progress = ProgressBar::new(rows).with_style(style);
    let mut file = BufWriter::new(File::create(path)?);
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for number in 0..rows {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let place = usize::try_from(state >> 8)?;
        let (first, last) = (FIRST[place % FIRST.len()], LAST[place / 16 % LAST.len()]);
        let id = 900_000_000_000 + number;
        let user = json!({
            "id": id,
            "url": format!("https://acme.zendesk.com/api/v2/users/{id}.json"),
            "name": format!("{first} {last}"),
            "email": format!("{}.{}.{state:x}@example.com", first.to_lowercase(), last.to_lowercase()),
            "created_at": "2024-03-01T10:00:00Z",
            "updated_at": "2025-03-01T10:00:00Z",
            "last_login_at": "2026-03-01T10:00:00Z",
            "time_zone": "Berlin",
            "locale": "en-US",
            "role": "end-user",
            "verified": true,
            "active": true,
            "suspended": false,
            "photo": null,
            "tags": ["customer"],
            "external_id": null,
            "organization_id": null,
        });
        writeln!(file, "{user}")?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(file.flush()?)
}
