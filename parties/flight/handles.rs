//! What clients hold handles of: bound to the user who got them, bounded in number and time.

use super::auth::Caller;
use crate::daemon::User;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tonic::Status;

const HANDLE_BYTES: usize = 16;
/// Handles of all users together.
const ALL_MAX: usize = 2048;
/// Handles of one user.
const USER_MAX: usize = 128;
/// A user with so many loses the one that was used longest ago, if that was so long: a client that was
/// killed has closed nothing.
const IDLE_MIN: Duration = Duration::from_secs(60);

type Handle = [u8; HANDLE_BYTES];

/// Values by handle.
pub(super) struct Handles<T> {
    held: Mutex<BTreeMap<Handle, Held<T>>>,
    idle_max: Duration,
    idle_min: Duration,
    what: &'static str,
}

struct Held<T> {
    caller: Caller,
    touched: Instant,
    value: Arc<T>,
}

impl<T> Handles<T> {
    /// Each is forgotten when nobody has used it for `idle_max`.
    pub(super) fn new(what: &'static str, idle_max: Duration) -> Self {
        Self { held: Mutex::default(), idle_max, idle_min: IDLE_MIN, what }
    }

    /// Holds the value for the caller.
    ///
    /// # Errors
    /// Resource exhausted when the caller, or everybody, has too many.
    pub(super) fn put(&self, caller: &Caller, value: T) -> Result<Handle, Status> {
        let handle = fresh()?;
        let mut held = self.held();
        let of_user = || held.iter().filter(|(_, held)| held.caller.user == caller.user);
        if of_user().count() >= USER_MAX {
            // Connections that are still there keep theirs, if another has any.
            let oldest = of_user().min_by_key(|(_, held)| {
                (held.caller.connection == caller.connection, held.touched)
            });
            let idle = oldest.filter(|(_, held)| held.touched.elapsed() >= self.idle_min);
            if let Some(oldest) = idle.map(|(handle, _)| *handle) {
                held.remove(&oldest);
            }
        }
        let of_user = held.values().filter(|held| held.caller.user == caller.user).count();
        if of_user >= USER_MAX || held.len() >= ALL_MAX {
            let what = self.what;
            let problem = format!("too many handles ({what}) are open: close some");
            return Err(Status::resource_exhausted(problem));
        }
        let held_value =
            Held { caller: caller.clone(), touched: Instant::now(), value: Arc::new(value) };
        held.insert(handle, held_value);
        Ok(handle)
    }

    /// The value, if it is the user's.
    ///
    /// # Errors
    /// Not found, also for somebody else's.
    pub(super) fn find(&self, user: &User, handle: &[u8]) -> Result<Arc<T>, Status> {
        let mut held = self.held();
        let found = <Handle>::try_from(handle).ok().and_then(|handle| held.get_mut(&handle));
        let found = found.filter(|held| held.caller.user == *user).ok_or_else(|| self.unknown())?;
        found.touched = Instant::now();
        Ok(Arc::clone(&found.value))
    }

    /// Gives the value up, if it is the user's.
    ///
    /// # Errors
    /// Not found, also for somebody else's.
    pub(super) fn remove(&self, user: &User, handle: &[u8]) -> Result<Arc<T>, Status> {
        let value = self.find(user, handle)?;
        if let Ok(handle) = <Handle>::try_from(handle) {
            self.held().remove(&handle);
        }
        Ok(value)
    }

    /// Gives up what the caller has opened on its connection, which others may use as well.
    pub(super) fn close(&self, caller: &Caller) {
        self.held().retain(|_, held| held.caller != *caller);
    }

    fn unknown(&self) -> Status {
        let what = self.what;
        Status::not_found(format!("no such {what}: it was closed, or nobody used it for too long"))
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<Handle, Held<T>>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, held| held.touched.elapsed() <= self.idle_max);
        held
    }
}

fn fresh() -> Result<Handle, Status> {
    use rand::TryRngCore;
    let mut handle = [0; HANDLE_BYTES];
    rand::rngs::OsRng
        .try_fill_bytes(&mut handle)
        .map_err(|error| Status::internal(format!("randomness: {error}")))?;
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str, connection: u64) -> Caller {
        Caller { user: User::Analyst(name.to_owned()), connection }
    }

    #[test]
    fn a_handle_is_its_user_s_and_goes_with_its_connection() {
        let handles = Handles::new("statement", Duration::from_secs(60));
        let (ann, bob) = (caller("ann", 1), caller("bob", 1));
        let handle = handles.put(&ann, 7).unwrap();
        assert_eq!(*handles.find(&ann.user, &handle).unwrap(), 7);
        for wrong in [&handle[..8], &[0; 16], &[]] {
            assert!(handles.find(&ann.user, wrong).is_err());
        }
        assert_eq!(handles.find(&bob.user, &handle).unwrap_err().code(), tonic::Code::NotFound);
        assert!(handles.remove(&bob.user, &handle).is_err());
        handles.close(&caller("ann", 2));
        handles.close(&bob);
        assert!(handles.find(&ann.user, &handle).is_ok());
        handles.close(&ann);
        assert!(handles.find(&ann.user, &handle).is_err());
    }

    #[test]
    fn handles_are_bounded_in_number_and_time() {
        let handles = Handles::new("statement", Duration::from_secs(60));
        let (ann, bob) = (caller("ann", 1), caller("bob", 2));
        (0..USER_MAX).for_each(|at| assert!(handles.put(&ann, at).is_ok()));
        assert_eq!(handles.put(&ann, 0).unwrap_err().code(), tonic::Code::ResourceExhausted);
        assert!(handles.put(&bob, 0).is_ok());
        // What nobody has used for long makes place for the same user's next.
        let handles = Handles { idle_min: Duration::ZERO, ..handles };
        assert!(handles.put(&ann, 1).is_ok());
        let of_ann = |held: &&Held<usize>| held.caller.user == ann.user;
        assert_eq!(handles.held().values().filter(of_ann).count(), USER_MAX);
        assert_eq!(handles.held().len(), USER_MAX + 1);
        let short = Handles::new("statement", Duration::ZERO);
        let handle = short.put(&ann, 7).unwrap();
        std::thread::sleep(Duration::from_millis(2));
        assert!(short.find(&ann.user, &handle).is_err());
    }
}
