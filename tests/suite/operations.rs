//! `docs/operations.md`: its commands are the program's.

use std::{fs, path::Path};

use clap::Parser as _;
use userbridge::cli::Cli;

/// The words of a command line as a shell has them, where it has no other quotes than single ones.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('\'').enumerate();
    parts
        .flat_map(|(index, part)| {
            let quoted = index % 2 == 1;
            let words = if quoted {
                vec![part]
            } else {
                part.split_whitespace().collect()
            };
            words.into_iter().map(str::to_owned)
        })
        .collect()
}

#[test]
fn every_command_of_the_page_is_one_that_the_program_takes() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    let page = fs::read_to_string(page).unwrap().replace("\\\n", " ");
    let lines = page.lines().filter(|line| line.starts_with("    "));
    let commands = lines
        .map(str::trim)
        .filter(|line| line.starts_with("userbridge "));
    let mut count = 0;
    for command in commands {
        count += 1;
        let parsed = Cli::try_parse_from(words(command));
        assert!(parsed.is_ok(), "{command}: {}", parsed.unwrap_err());
    }
    assert!(count > 10);
}
