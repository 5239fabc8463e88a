//! Teams: the vendor's clients name them by key, members have their numbers.

use std::collections::{HashMap, HashSet};

use super::response::{Reason, Refusal, too_busy};
use crate::{
    Upstream,
    upstream::{Key, Resource, UpstreamError},
};

/// Most keys to remember at once.
const MAX_KNOWN: usize = 10_000;

/// Most teams of one user, and the longest key, in characters: those of the directory. What is beyond is not asked for.
pub(super) const MAX_TEAMS: usize = 100;
pub(super) const MAX_KEY: usize = 64;

/// How often to try to find or create teams that others create and remove at the same time.
const ATTEMPTS: usize = 5;

/// Keys of teams by their numbers, as far as they were asked for.
#[derive(Debug, Default)]
pub(super) struct TeamKeys(HashMap<i64, String>);

impl TeamKeys {
    /// The keys of these teams, in their order, without teams that were removed in this moment.
    pub(super) async fn of(
        &mut self,
        upstream: &Upstream,
        key: &Key,
        numbers: &[i64],
    ) -> Result<Vec<String>, UpstreamError> {
        let mut keys = Vec::with_capacity(numbers.len());
        for number in numbers {
            if let Some(known) = self.0.get(number) {
                keys.push(known.clone());
                continue;
            }
            match upstream.team(key, *number).await {
                Ok(team) => {
                    if self.0.len() == MAX_KNOWN {
                        self.0.clear();
                    }
                    keys.push(team.key.clone());
                    self.0.insert(*number, team.key);
                }
                Err(UpstreamError::NotFound(Resource::Team)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(keys)
    }
}

/// That these can be the teams of one user.
pub(super) fn check(keys: &[String]) -> Result<(), Reason> {
    let distinct: HashSet<_> = keys.iter().collect();
    let short = |key: &String| !key.is_empty() && key.chars().nth(MAX_KEY).is_none();
    if distinct.len() <= MAX_TEAMS && keys.iter().all(short) {
        Ok(())
    } else {
        Err(Reason::Malformed)
    }
}

/// The numbers of the teams with these keys. Those that are not there are created.
pub(super) async fn numbers(upstream: &Upstream, key: &Key, keys: &[String]) -> Result<Vec<i64>, Refusal> {
    let mut missing: HashSet<&str> = keys.iter().map(String::as_str).collect();
    let mut numbers = find(upstream, key, &mut missing).await?;
    for _ in 0..ATTEMPTS {
        let mut taken = HashSet::new();
        // In the order of the request, so that their numbers are in it.
        for team in keys
            .iter()
            .map(String::as_str)
            .filter(|team| missing.remove(team))
        {
            match upstream.create_team(key, team).await {
                Ok(created) => numbers.push(created.number),
                // Somebody else has just created it.
                Err(UpstreamError::AlreadyExists(_)) => {
                    taken.insert(team);
                }
                Err(error) => return Err(error.into()),
            }
        }
        missing = taken;
        numbers.extend(find(upstream, key, &mut missing).await?);
        if missing.is_empty() {
            return Ok(numbers);
        }
    }
    Err(too_busy())
}

/// The numbers of the teams that are there, whose keys are then no longer missing.
async fn find(
    upstream: &Upstream,
    key: &Key,
    missing: &mut HashSet<&str>,
) -> Result<Vec<i64>, UpstreamError> {
    let mut found = Vec::new();
    let mut page_token = String::new();
    while !missing.is_empty() {
        let page = upstream.list_teams(key, page_token).await?;
        for team in page.teams {
            if missing.remove(team.key.as_str()) {
                found.push(team.number);
            }
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_team_can_be_called_is_refused() {
        let keys = |keys: Vec<String>| check(&keys).is_ok();
        assert!(keys(vec!["é".repeat(64), "a".to_owned()]));
        assert!(keys(vec!["a".to_owned(); 200]), "each counts once");
        assert!(keys((0..100).map(|index| index.to_string()).collect()));
        assert!(!keys((0..101).map(|index| index.to_string()).collect()));
        assert!(!keys(vec!["a".repeat(65)]));
        assert!(!keys(vec![String::new()]));
    }
}
