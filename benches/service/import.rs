//! A bulk import beside the server: another process that adds members as fast as it can, 500 in a transaction, until it
//! is killed.

use sqlx::{Connection as _, QueryBuilder, Sqlite, SqliteConnection};

use crate::{
    Result,
    people::{self, Person, person},
    seed,
    servers::{Location, Program},
};

pub(crate) fn start(database: &Location, first: u64) -> Result<Program> {
    Program::part(&["import", "--first", &first.to_string()], database)
}

/// Members with numbers from `first` on. It does not end by itself.
pub(crate) async fn run(database: &str, mut first: u64) -> Result<()> {
    let mut connection = SqliteConnection::connect_with(&seed::durable(database)?).await?;
    println!("{{}}");
    loop {
        let batch: Vec<Person> = (first..first + seed::ROWS).map(person).collect();
        first += seed::ROWS;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        seed::insert(&mut transaction, &batch).await?;
        // The members of a batch are of as many organizations, and their numbers are greater than any before.
        let mut counters = QueryBuilder::<Sqlite>::new(
            "INSERT INTO organization_counters (organization_id, members, events) ",
        );
        counters.push_values(&batch, |mut row, person| {
            row.push_bind(people::organization_id(person.organization).as_bytes().to_vec())
                .push_bind(person.member_number())
                .push_bind(person.member_number());
        });
        counters.push(" ON CONFLICT DO UPDATE SET members = excluded.members, events = excluded.events");
        counters.build().execute(&mut *transaction).await?;
        let mut counts =
            QueryBuilder::<Sqlite>::new("INSERT INTO member_counts (organization_id, role, live) ");
        counts.push_values(&batch, |mut row, person| {
            row.push_bind(people::organization_id(person.organization).as_bytes().to_vec())
                .push_bind("")
                .push_bind(1);
        });
        counts.push(" ON CONFLICT DO UPDATE SET live = live + 1");
        counts.build().execute(&mut *transaction).await?;
        let mut events = QueryBuilder::<Sqlite>::new(
            "INSERT INTO events (organization_id, sequence, kind, member_id, user_id, actor, at, fields) ",
        );
        events.push_values(&batch, |mut row, person| {
            row.push_bind(people::organization_id(person.organization).as_bytes().to_vec())
                // Its organization has no other events.
                .push_bind(person.member_number())
                .push_bind("member.linked")
                .push_bind(&person.member_id.as_bytes()[..])
                .push_bind(&person.user_id.as_bytes()[..])
                .push_bind("operator")
                .push_bind(person.created_at.cast_signed())
                .push_bind("email name avatar_url portal_role company_name");
        });
        events.build().execute(&mut *transaction).await?;
        let mut texts = QueryBuilder::<Sqlite>::new("INSERT INTO member_texts (block, lines) ");
        texts.push_values(batch.iter().flat_map(texts_of), |mut row, (block, lines)| {
            row.push_bind(block).push_bind(lines);
        });
        texts.push(" ON CONFLICT (block) DO UPDATE SET lines = CAST(lines || excluded.lines AS BLOB)");
        texts.build().execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
}

/// Name and address in the search index, as the service makes them of texts in ASCII that are in lower case.
fn texts_of(person: &Person) -> [(i64, Vec<u8>); 2] {
    let number = person.member_number();
    let mark = [9, 6, 3, 0].map(|shift| 0xf8 | ((number >> shift).to_le_bytes()[0] & 7));
    let name = format!("given family {}", person.created_at);
    [(0, name), (1, person.email.clone())].map(|(column, text)| {
        let block = (person.organization.cast_signed() << 32) | (column << 31) | (number / 256);
        (block, [&mark[..], text.as_bytes()].concat())
    })
}
