//! What is written is read again.

use std::io::Cursor;

use proptest::{option, prelude::*};

use super::*;
use crate::domain::{
    Access, AuthMethod, ImportRow, Member, MemberId, MemberNumber, MemberPatch, Origin, PersonName, Profile,
    Role, TeamNumber, Timestamp, UserId,
};

/// Texts that a spreadsheet or a reader could take for something else, among any others.
fn any_text(max: usize) -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "=1+1",
        "'=1",
        "''",
        "'",
        "\"",
        ";",
        ",",
        "a;b,c",
        "-1",
        "@x",
        "+49",
        "＝1",
        " ",
        "null",
        "true",
        "1",
        "é",
        "😀",
        "\u{2028}",
        "\u{feff}x",
    ]);
    prop_oneof![odd.prop_map(str::to_owned), "\\PC{1,40}"]
        .prop_map(move |text| text.chars().take(max).collect::<String>())
        .prop_filter("not empty", |text| !text.is_empty())
}

fn text<T: TryFrom<String> + std::fmt::Debug>(max: usize) -> impl Strategy<Value = Option<T>> {
    let text = any_text(max).prop_filter_map("a text of the directory", |text| T::try_from(text).ok());
    option::of(text)
}

prop_compose! {
    fn email()(local in any_text(40), domain in "[a-z=;'\"]{1,9}") -> String {
        let local: String = local.chars().filter(|letter| !letter.is_whitespace()).collect();
        format!("{local}x@{domain}")
    }
}

prop_compose! {
    fn profile()(
        email in option::of(email()),
        name in text(255),
        avatar_url in text(255),
        portal_role in text(64),
        company_name in text(255),
        customer_status in text(64),
        locale in option::of(prop::sample::select(vec!["en", "pt-BR", "zh-Hant-TW"])),
    ) -> Profile {
        Profile {
            email: email.map(|email| email.parse().unwrap()),
            name,
            avatar_url,
            portal_role,
            company_name,
            customer_status,
            locale: locale.map(|locale| locale.parse().unwrap()),
        }
    }
}

prop_compose! {
    fn access()(
        role in option::of(prop::sample::select(Role::ALL)),
        enabled in any::<bool>(),
        auth_method in option::of(prop::sample::select(AuthMethod::ALL)),
        onboarded in any::<bool>(),
    ) -> Access {
        Access { role, enabled, auth_method, onboarded }
    }
}

prop_compose! {
    fn member()(
        mut profile in profile(),
        given_name in text(127),
        family_name in text(127),
        access in access(),
        source in any_text(64),
        external_id in text(255),
        teams in prop::collection::btree_set(1..=i64::MAX, 0..4),
        primary_team in 1..=i64::MAX,
        seen in option::of(0..253_402_207_200_000_i64),
        created in 0..253_402_207_200_000_i64,
    ) -> Member {
        if profile.email.is_none() && external_id.is_none() {
            profile.email = Some("a@b".parse().unwrap());
        }
        Member {
            id: MemberId::from_uuid(uuid::Uuid::nil()),
            user_id: UserId::from_uuid(uuid::Uuid::nil()),
            profile,
            person: PersonName { given_name, family_name },
            created_at: Timestamp::from_millis(created),
            number: MemberNumber(1),
            email_since: Timestamp::from_millis(created),
            access,
            origin: Origin { source: source.parse().unwrap(), external_id },
            teams: teams.into_iter().map(TeamNumber).collect(),
            primary_team: TeamNumber(primary_team),
            updated_at: Timestamp::from_millis(created),
            last_seen_at: seen.map(Timestamp::from_millis),
            revoked_at: None,
            erased_at: None,
            version: 1,
        }
    }
}

fn written(members: &[Member], format: Format) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), format).unwrap();
    for member in members {
        writer.write(member).unwrap();
    }
    writer.finish().unwrap()
}

fn read(file: Vec<u8>) -> Vec<Record> {
    let reader = Reader::new(Cursor::new(file), ReadOptions::default()).unwrap();
    reader.map(Result::unwrap).collect()
}

/// What a file is to say of a member.
fn row(member: &Member) -> ImportRow {
    let member = member.clone();
    let (profile, access) = (member.profile, member.access);
    ImportRow {
        origin: member.origin,
        values: MemberPatch {
            email: profile.email.map(Some),
            name: profile.name.map(Some),
            avatar_url: profile.avatar_url.map(Some),
            portal_role: profile.portal_role.map(Some),
            company_name: profile.company_name.map(Some),
            customer_status: profile.customer_status.map(Some),
            locale: profile.locale.map(Some),
            given_name: member.person.given_name.map(Some),
            family_name: member.person.family_name.map(Some),
            role: access.role.map(Some),
            enabled: Some(access.enabled),
            auth_method: access.auth_method.map(Some),
            onboarded: Some(access.onboarded),
            external_id: None,
            teams: Some(member.teams).filter(|teams| !teams.is_empty()),
            primary_team: Some(member.primary_team),
        },
        last_seen_at: member.last_seen_at,
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(members in prop::collection::vec(member(), 1..4)) {
        let expected: Vec<_> = members.iter().map(row).collect();
        for format in [Format::Csv, Format::Ndjson] {
            let records = read(written(&members, format));
            let rows: Vec<_> = records.into_iter().map(|record| record.row.unwrap()).collect();
            prop_assert_eq!(&rows, &expected);
        }
    }

    #[test]
    fn who_was_revoked_is_written_and_not_read(mut member in member()) {
        member.revoked_at = Some(member.created_at);
        for format in [Format::Csv, Format::Ndjson] {
            let flaws = read(written(std::slice::from_ref(&member), format)).remove(0).row.unwrap_err();
            prop_assert_eq!(flaws, [Flaw { column: "revoked_at".to_owned(), reason: Reason::Revoked }]);
        }
    }

    #[test]
    fn random_bytes_are_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), format in option::of(prop::sample::select(Format::ALL))) {
        let options = ReadOptions { format, map: Vec::new() };
        if let Ok(reader) = Reader::new(Cursor::new(bytes), options) {
            prop_assert!(reader.count() < 1000);
        }
    }
}

#[test]
fn an_export_names_all_its_columns_even_without_members() {
    let header = String::from_utf8(written(&[], Format::Csv)).unwrap();
    let fields: Vec<_> = header.trim_end().split(',').collect();
    assert_eq!(fields.len(), Field::ALL.len() + 5);
    assert!(Field::ALL.iter().all(|field| fields.contains(&field.as_str())));
    assert!(written(&[], Format::Ndjson).is_empty());
}

#[test]
fn members_are_written_as_csv_or_ndjson_alone() {
    for format in [
        Format::Json,
        Format::Zendesk,
        Format::Freshdesk,
        Format::TheBridge,
    ] {
        let error = Writer::new(Vec::new(), format).err().unwrap();
        assert_eq!(error.to_string(), "members are written as csv or ndjson");
    }
}

#[test]
fn a_field_has_the_name_that_its_error_lists() {
    let error = "x".parse::<Field>().unwrap_err().to_string();
    let names: Vec<_> = Field::ALL.iter().map(|field| field.as_str()).collect();
    assert_eq!(error, format!("must be one of {}", names.join(", ")));
    let error = "x".parse::<Format>().unwrap_err().to_string();
    let names: Vec<_> = Format::ALL.iter().map(|format| format.as_str()).collect();
    assert_eq!(error, format!("must be one of {}", names.join(", ")));
}
