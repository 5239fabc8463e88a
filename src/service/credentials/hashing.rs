//! Slow hashes, off the threads that answer requests, only so many at once, and shared out by organization.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use argon2::{
    Argon2, Params,
    password_hash::{self, PasswordHasher as _, PasswordVerifier as _, phc},
};
use tokio::sync::oneshot;

use crate::{
    domain::{OrganizationId, Password, PasswordHash, Random},
    service::{Result, ServiceError},
    storage::shares::{Limits, Place, Shares},
};

/// Memory of one hash, in KiB. With the number of passes below what OWASP's Password Storage Cheat Sheet asks for first.
const MEMORY_KIB: u32 = 19 * 1024;

const PASSES: u32 = 2;

const LANES: u32 = 1;

/// A hash of no password, with the parameters above: what is judged where there is none, so that it takes as long.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Most hashes that run at once, for each core. Each has its memory to itself.
const RUNNING_PER_CORE: u32 = 2;

/// Most that wait for one organization: some seconds of work.
const WAITING: usize = 128;

/// Length of a salt, in bytes (PHC string format).
const SALT: usize = 16;

/// How a password was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) right: bool,
    /// The hash has other parameters than new ones get.
    pub(super) outdated: bool,
}

/// Hashes passwords.
pub(in crate::service) struct Hasher {
    shares: Arc<Shares>,
    hashed: Arc<AtomicU64>,
}

impl Default for Hasher {
    fn default() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::new(Limits {
            places: u32::try_from(cores)
                .unwrap_or(u32::MAX)
                .saturating_mul(RUNNING_PER_CORE),
            // As many as the cores have use for.
            each: cores,
            waiting: WAITING,
        })
    }
}

impl Hasher {
    fn new(limits: Limits) -> Self {
        Self {
            shares: Arc::new(Shares::new(limits)),
            hashed: Arc::default(),
        }
    }

    /// How many hashes have been computed.
    pub(in crate::service) fn hashed(&self) -> u64 {
        self.hashed.load(Ordering::Relaxed)
    }

    /// How many hashes run, and how many wait.
    pub(in crate::service) fn load(&self) -> (usize, usize) {
        self.shares.load()
    }

    /// Waits for a place, in which hashes are computed one after the other.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Overloaded`]: too many of the organization's wait.
    pub(super) async fn place(&self, organization: OrganizationId) -> Result<Arc<Place>> {
        Ok(Arc::new(self.shares.place(Some(organization)).await?))
    }

    /// Hashes a new password, if it is good when it comes to it. None: it is not.
    ///
    /// # Errors
    ///
    /// There is no randomness.
    pub(super) async fn hash(
        &self,
        place: &Arc<Place>,
        password: Password,
        random: &dyn Random,
        good: impl FnOnce(&Password) -> bool + Send + 'static,
    ) -> Result<Option<PasswordHash>> {
        let mut salt = [0; SALT];
        random.fill(&mut salt)?;
        self.run(place, move |hashed| {
            if !good(&password) {
                return Ok(None);
            }
            hashed.fetch_add(1, Ordering::Relaxed);
            let hash = argon2()?.hash_password_with_salt(password.reveal().as_bytes(), &salt);
            let hash: phc::PasswordHash = hash.map_err(internal)?;
            Ok(Some(PasswordHash::new(hash.to_string())))
        })
        .await
    }

    /// Judges a password by a hash; where there is none, by that of no password.
    pub(super) async fn judge(
        &self,
        place: &Arc<Place>,
        password: Password,
        hash: Option<PasswordHash>,
    ) -> Result<Judgement> {
        self.run(place, move |hashed| {
            hashed.fetch_add(1, Ordering::Relaxed);
            let hash = hash.as_ref().map_or(NOBODY, PasswordHash::as_str);
            let hash = phc::PasswordHash::new(hash).map_err(internal)?;
            let right = match argon2()?.verify_password(password.reveal().as_bytes(), &hash) {
                Ok(()) => true,
                Err(password_hash::Error::PasswordInvalid) => false,
                Err(error) => return Err(internal(error)),
            };
            let outdated = Params::try_from(&hash).map_err(internal)? != params()?;
            Ok(Judgement { right, outdated })
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        place: &Arc<Place>,
        work: impl FnOnce(&AtomicU64) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (place, hashed) = (place.clone(), self.hashed.clone());
        let (told, result) = oneshot::channel();
        // It goes on when its caller goes away, and until then has its place. Not one of the runtime's: where the system has no thread to
        // give, the runtime would keep the work and the place until it has, and look again only for the next.
        let started = thread::Builder::new().name("hash".to_owned()).spawn(move || {
            let result = work(&hashed);
            drop(place);
            drop(told.send(result));
        });
        if let Err(error) = started {
            tracing::error!(%error, "there is no thread for a password");
            return Err(ServiceError::Overloaded);
        }
        result.await.map_err(internal)?
    }
}

fn params() -> Result<Params> {
    Params::new(MEMORY_KIB, PASSES, LANES, Some(Params::DEFAULT_OUTPUT_LEN)).map_err(internal)
}

fn argon2() -> Result<Argon2<'static>> {
    params().map(Argon2::from)
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> ServiceError {
    ServiceError::Internal(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::OsRandom;

    const ACME: OrganizationId = OrganizationId::from_uuid(uuid::Uuid::from_u128(1));
    const GLOBEX: OrganizationId = OrganizationId::from_uuid(uuid::Uuid::from_u128(2));

    async fn hash(hasher: &Hasher, password: &str) -> PasswordHash {
        let place = hasher.place(ACME).await.unwrap();
        let hash = hasher
            .hash(&place, Password::typed(password), &OsRandom, |_| true)
            .await;
        hash.unwrap().unwrap()
    }

    async fn judge(
        hasher: &Hasher,
        organization: OrganizationId,
        password: &str,
        hash: Option<PasswordHash>,
    ) -> Result<Judgement> {
        let place = hasher.place(organization).await?;
        hasher.judge(&place, Password::typed(password), hash).await
    }

    #[tokio::test]
    async fn a_hash_is_of_one_password_and_says_how_it_was_made() {
        let hasher = Hasher::default();
        let otter = hash(&hasher, "violet otter").await;
        assert!(otter.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert_ne!(otter, hash(&hasher, "violet otter").await);
        for (password, right) in [("violet otter", true), ("violet otters", false)] {
            let judged = judge(&hasher, ACME, password, Some(otter.clone()));
            assert_eq!(
                judged.await.unwrap(),
                Judgement {
                    right,
                    outdated: false
                }
            );
        }
    }

    #[tokio::test]
    async fn judging_nobody_takes_one_hash_of_the_same_cost() {
        let hasher = Hasher::default();
        let judged = judge(&hasher, ACME, "violet otter", None).await;
        let wrong = Judgement {
            right: false,
            outdated: false,
        };
        assert_eq!(judged.unwrap(), wrong);
        assert_eq!(hasher.hashed(), 1);
    }

    #[tokio::test]
    async fn a_hash_with_other_parameters_is_outdated() {
        let cheap = Argon2::from(Params::new(8, 1, 1, None).unwrap());
        let hash: phc::PasswordHash = cheap
            .hash_password_with_salt(b"violet otter", &[7; SALT])
            .unwrap();
        let hash = PasswordHash::new(hash.to_string());
        let hasher = Hasher::default();
        let judged = judge(&hasher, ACME, "violet otter", Some(hash));
        let right = Judgement {
            right: true,
            outdated: true,
        };
        assert_eq!(judged.await.unwrap(), right);
    }

    #[tokio::test]
    async fn more_than_can_wait_are_refused_and_nobody_elses() {
        let hasher = Hasher::new(Limits {
            places: 2,
            each: 1,
            waiting: 1,
        });
        let judge = |organization, password| judge(&hasher, organization, password, None);
        let (first, second, third, other) = tokio::join!(
            judge(ACME, "one"),
            judge(ACME, "two"),
            judge(ACME, "three"),
            judge(GLOBEX, "one"),
        );
        assert!(first.is_ok() && second.is_ok());
        assert!(matches!(third, Err(ServiceError::Overloaded)));
        assert!(other.is_ok());
        assert!(judge(ACME, "four").await.is_ok());
        assert_eq!(hasher.load(), (0, 0));
    }
}
