//! What is exported, and imported somewhere else, is the same there.

use std::{io::Cursor, sync::Arc};

use proptest::{collection::vec, option, prelude::*, sample::subsequence};
use userbridge::{
    domain::{
        AuthMethod, DisplayName, Email, ExternalId, FamilyName, GivenName, Idempotency, ImportRow, Member,
        MemberPatch, OrganizationId, Origin, PersonName, Role, TeamNumber, Timestamp,
    },
    service::{Admin, AllPlace, Directory, Imported, Read, Write},
    storage::{self, Migrate, Storage},
    transfer::{Format, ReadOptions, Reader, Reason, Writer},
};

use crate::support::{database, first};

/// A text that a member can have, and some that files have trouble with.
fn text<T: std::str::FromStr + std::fmt::Debug>() -> impl Strategy<Value = T> {
    let odd = prop_oneof![
        "[ -~]{1,12}",
        "[=+@\\-'＝＠][=+'\"a-z,;]{0,6}",
        "\\PC{1,8}",
        Just("true".to_owned()),
        Just("00123".to_owned()),
        Just("null".to_owned()),
    ];
    odd.prop_filter_map("no such text", |text| text.parse().ok())
}

fn person() -> impl Strategy<Value = ImportRow> {
    let names = (
        option::of(text::<DisplayName>()),
        option::of(text::<GivenName>()),
        option::of(text::<FamilyName>()),
    );
    let profile = (
        option::of(text()),
        option::of(text()),
        option::of(text()),
        option::of(text()),
        option::of(prop_oneof![Just("en"), Just("pt-BR"), Just("zh-Hant-TW")]),
    );
    let access = (
        option::of(prop_oneof![Just(Role::Owner), Just(Role::Viewer)]),
        any::<bool>(),
        option::of(prop_oneof![Just(AuthMethod::Password), Just(AuthMethod::Oidc)]),
        any::<bool>(),
    );
    let place = (
        subsequence(vec![1, 2, 3], 0..=3),
        1..=3_i64,
        option::of(0..=4_000_000_000_000_i64),
    );
    let identity = (any::<bool>(), text(), option::of(text::<ExternalId>()));
    (names, profile, access, place, identity).prop_map(|(names, profile, access, place, identity)| {
        let has_email = identity.0 || identity.2.is_none();
        ImportRow {
            origin: Origin {
                source: identity.1,
                external_id: identity.2,
            },
            values: MemberPatch {
                // Numbered later, so that each is another one's.
                email: has_email.then_some(None),
                name: names.0.map(Some),
                given_name: names.1.map(Some),
                family_name: names.2.map(Some),
                avatar_url: profile.0.map(Some),
                portal_role: profile.1.map(Some),
                company_name: profile.2.map(Some),
                customer_status: profile.3.map(Some),
                locale: profile.4.map(|tag| Some(tag.parse().unwrap())),
                role: access.0.map(Some),
                enabled: Some(access.1),
                auth_method: access.2.map(Some),
                onboarded: Some(access.3),
                teams: Some(place.0.into_iter().map(TeamNumber).collect()),
                primary_team: Some(TeamNumber(place.1)),
                ..MemberPatch::default()
            },
            last_seen_at: place.2.map(Timestamp::from_millis),
        }
    })
}

/// With addresses, and ids that are nobody else's.
fn numbered(mut rows: Vec<ImportRow>) -> Vec<ImportRow> {
    for (number, row) in rows.iter_mut().enumerate() {
        if row.values.email.is_some() {
            row.values.email = Some(Some(Email::new(format!("={number}'\"@acme.example")).unwrap()));
        }
        if let Some(id) = &row.origin.external_id {
            row.origin.external_id = format!("{}{number}", id.as_str()).parse().ok();
        }
    }
    rows
}

struct Place {
    directory: Directory,
    storage: Arc<dyn Storage>,
    organization: OrganizationId,
    _folder: tempfile::TempDir,
}

impl Place {
    /// With three teams.
    async fn new() -> Self {
        let (folder, url) = database();
        let storage = storage::connect(&url, Migrate::Always).await.unwrap();
        let directory = Directory::new(storage.clone());
        let (slug, name) = ("acme".parse().unwrap(), "Acme".parse().unwrap());
        let made = directory.create_organization(Admin::OPERATOR, slug, name, Idempotency::never());
        let organization = first(made.await.unwrap()).id;
        for team in ["second", "third"] {
            let (slug, name) = (team.parse().unwrap(), team.parse().unwrap());
            let grant = Write::operator(organization);
            directory
                .create_team(grant, slug, name, Idempotency::never())
                .await
                .unwrap();
        }
        Self {
            directory,
            storage,
            organization,
            _folder: folder,
        }
    }

    async fn import(&self, rows: Vec<ImportRow>) -> Vec<Imported> {
        let grant = Write::operator(self.organization);
        self.directory.import_members(grant, rows.into()).await.unwrap()
    }

    async fn everybody(&self, with_revoked: bool) -> Vec<Member> {
        let (grant, mut all, mut next) = (Read::operator(self.organization), vec![], Some(AllPlace::START));
        while let Some(place) = next {
            let part = self.directory.all_members(grant, place, with_revoked, 7).await;
            let (members, then) = part.unwrap();
            all.extend(members);
            next = then;
        }
        all
    }
}

/// What an export says of a member beyond who and since when it is.
fn said(member: &Member) -> impl PartialEq + std::fmt::Debug + use<> {
    let (profile, person): (_, PersonName) = (member.profile.clone(), member.person.clone());
    let mut place: Vec<_> = member.teams.iter().map(|team| team.0).collect();
    place.push(member.primary_team.0);
    (
        profile,
        person,
        member.access,
        member.origin.clone(),
        place,
        member.last_seen_at,
    )
}

async fn comes_back(rows: Vec<ImportRow>, format: Format) {
    let (from, to) = (Place::new().await, Place::new().await);
    let count = rows.len();
    let imported = from.import(numbered(rows)).await;
    let mut revoked = 0;
    for (number, imported) in imported.iter().enumerate() {
        let Imported::Created(member) = imported else {
            panic!("{number}: {imported:?}");
        };
        if number % 7 == 3 {
            let grant = Write::operator(from.organization);
            // The last owner stays.
            revoked += usize::from(from.directory.revoke_member(grant, *member, None).await.is_ok());
        }
    }
    let mut writer = Writer::new(Vec::new(), format).unwrap();
    let all = from.everybody(true).await;
    assert_eq!(all.len(), count);
    for member in &all {
        writer.write(member).unwrap();
    }
    let file = writer.finish().unwrap();
    let options = ReadOptions::default();
    let reader = Reader::new(Cursor::new(file.clone()), options).unwrap();
    assert_eq!(reader.format(), format);
    let (mut rows, mut passed) = (Vec::new(), 0);
    for record in reader {
        match record.unwrap().row {
            Ok(row) => rows.push(row),
            Err(flaws) => {
                assert!(
                    flaws.iter().all(|flaw| flaw.reason == Reason::Revoked),
                    "{flaws:?}"
                );
                passed += 1;
            }
        }
    }
    assert_eq!(passed, revoked);
    let again = to.import(rows.clone()).await;
    assert!(
        again
            .iter()
            .all(|imported| matches!(imported, Imported::Created(_)))
    );
    let here: Vec<_> = from.everybody(false).await.iter().map(said).collect();
    let mut there: Vec<_> = to.everybody(false).await.iter().map(said).collect();
    // Who is in a team gets its number after those who are in none.
    for member in &here {
        let place = there.iter().position(|other| other == member);
        there.remove(place.unwrap_or_else(|| panic!("{member:?} is not among {there:?}")));
    }
    assert!(there.is_empty());
    // And in its own place it changes nothing.
    let unchanged = from.import(rows).await;
    assert!(
        unchanged
            .iter()
            .all(|imported| matches!(imported, Imported::Unchanged(_))),
        "{unchanged:?}"
    );
    for place in [from, to] {
        place.storage.close().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn an_export_imports_as_an_equal_directory(
        rows in vec(person(), 1..40),
        format in prop_oneof![Just(Format::Csv), Just(Format::Ndjson)],
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.unwrap().block_on(comes_back(rows, format));
    }
}

#[test]
fn an_export_is_a_file_that_an_import_reads() {
    let place = super::Place::new();
    let rows = super::lines(1200, |number| format!("p{number}@acme.example,Somebody\n"));
    let file = place.write("people.csv", format!("email,name\n{rows}"));
    place.import(&[&file]).json();
    for format in ["csv", "ndjson"] {
        let path = place.path(&format!("export.{format}")).display().to_string();
        let export = ["export", "--org", "acme", "--format", format];
        let printed = place.run(&export).stdout;
        assert_eq!(
            place.run(&[&export[..], &[&path, "--json"]].concat()).json()["members"],
            1200
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), printed);
        assert_eq!(place.import(&[&path]).json(), super::took(0, 0, 1200));
        let other = super::Place::new();
        assert_eq!(other.import(&[&path]).json(), super::took(1200, 0, 0));
        assert_eq!(other.emails(), place.emails());
    }
    let missing = place.run(&["export", "--org", "acme", "/nowhere/export.csv"]);
    assert_eq!(missing.code, 1);
}
