//! Work that is to leave the processors to everything else while that wants them: passwords, above all a flood of them.

use std::io;
use std::thread::{Builder, scope};

use rustix::process::{getpriority_process, setpriority_process};

/// As `nice` counts: for eleven shares of a processor's time, whoever is not as nice has a hundred.
const NICENESS: i32 = 10;

/// What `job` returns, run by a thread of its own, since on Linux niceness is a thread's, and it is not given back. `None`:
/// it has panicked. Blocking.
///
/// # Errors
/// The system has no thread.
pub fn in_background<T: Send>(job: impl FnOnce() -> T + Send) -> io::Result<Option<T>> {
    scope(|scope| {
        let nice = || {
            // Elsewhere, or where a system call filter forbids it, it runs like all others.
            let is_less_nice = getpriority_process(None).is_ok_and(|niceness| niceness < NICENESS);
            if cfg!(target_os = "linux") && is_less_nice {
                let _ = setpriority_process(None, NICENESS);
            }
            job()
        };
        let thread = Builder::new().name("background".into());
        Ok(thread.spawn_scoped(scope, nice)?.join().ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn it_is_nice_and_those_who_wait_for_it_are_not() {
        let before = getpriority_process(None).unwrap();
        let nice = in_background(|| getpriority_process(None).unwrap());
        assert_eq!(nice.unwrap(), Some(before.max(NICENESS)));
        assert_eq!(getpriority_process(None).unwrap(), before);
    }

    #[test]
    fn its_panic_is_no_answer() {
        assert_eq!(
            in_background(|| -> u8 { panic!("on purpose") }).unwrap(),
            None
        );
    }
}
