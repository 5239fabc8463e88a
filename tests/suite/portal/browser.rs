//! Scenarios in headless Chromium. A scenario is a program that talks with the world by lines: it prints what it asks for
//! as JSON and reads the answer.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use tokio::{runtime::Handle, task::block_in_place};

use super::world::World;
use crate::{
    programs::tools::{Needs, available, chromium, npm, script},
    support::Form,
};

/// Pictures for the documentation are written only if this is set.
const PICTURES: &str = "USERBRIDGE_TEST_PICTURES";

macro_rules! scenarios {
    ($($scenario:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $scenario() {
            play(stringify!($scenario)).await;
        })+
    };
}

scenarios!(
    an_administrator_comes_in_with_a_code_that_works_once,
    somebody_is_invited_found_changed_disabled_removed_and_restored,
    the_list_is_searched_sorted_and_turned_over,
    of_two_who_edit_one_person_the_second_is_told_and_loses_nothing,
    a_session_reaches_no_other_organization,
    a_session_ends_with_the_role,
    a_session_that_nobody_uses_for_half_an_hour_is_over,
    while_the_directory_is_away_nothing_is_changed_and_she_is_told,
    an_admin_is_not_offered_an_owner_and_is_refused_one,
    the_last_owner_stays,
    names_are_text_whatever_is_in_them,
    every_page_is_accessible_in_light_and_dark,
    all_fits_on_a_phone,
    a_password_is_set_by_a_mailed_link,
    the_activity_tells_who_did_what,
);

/// What the scenarios run on.
pub(super) const BROWSER: [Needs; 3] = [
    Needs::Npm("playwright-core"),
    Needs::Npm("axe-core"),
    Needs::Chromium,
];

async fn play(scenario: &str) {
    if !available(&BROWSER) {
        return;
    }
    let world = World::new(Form::Embedded).await;
    let answer = async |what: &str, whom: &str| world.answer(what, whom).await;
    block_in_place(|| converse(world.app.http_addr, scenario, &answer));
}

/// Plays a scenario of `tests/programs/browser/` to its end, on the gateway at this address.
pub(super) fn converse(gateway: SocketAddr, scenario: &str, answer: &impl AsyncFn(&str, &str) -> String) {
    let mut child = Command::new("node")
        .arg(script("browser/play.mjs"))
        .arg(scenario)
        .env("USERBRIDGE_URL", format!("http://{gateway}"))
        .env("USERBRIDGE_TEST_NPM", npm())
        .env("USERBRIDGE_TEST_CHROMIUM", chromium())
        .env(PICTURES, env::var(PICTURES).unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answers = child.stdin.take().unwrap();
    let questions = BufReader::new(child.stdout.take().unwrap());
    for line in questions.lines() {
        let question: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let of = |name: &str| question[name].as_str().unwrap();
        let answer = Handle::current().block_on(answer(of("what"), of("whom")));
        writeln!(answers, "{}", json!(answer)).unwrap();
    }
    drop(answers);
    let ended = child.wait().unwrap();
    assert!(ended.success(), "{scenario}: {ended}; its own words are above");
}
