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
        let texts = |person: &Person| {
            (
                format!("given family {}", person.created_at),
                person.email.clone(),
            )
        };
        let mut search = QueryBuilder::<Sqlite>::new("INSERT INTO member_texts (row, name, email) ");
        search.push_values(&batch, |mut row, person| {
            let (name, email) = texts(person);
            row.push_bind(person.row()).push_bind(name).push_bind(email);
        });
        search.build().execute(&mut *transaction).await?;
        let mut parts = QueryBuilder::<Sqlite>::new("INSERT INTO member_parts (rowid, parts) ");
        parts.push_values(&batch, |mut row, person| {
            let (name, email) = texts(person);
            row.push_bind(person.row())
                .push_bind(entries('n', &name) + &entries('e', &email));
        });
        parts.build().execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
}

/// As the service makes them of a text in ASCII.
fn entries(column: char, text: &str) -> String {
    let entry = |start: usize| format!("一{column}{}\n", &text[start..text.len().min(start + 6)]);
    (0..text.len()).map(entry).collect()
}
