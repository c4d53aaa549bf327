//! Closing packet sockets without waiting for it.
//!
//! When the last reference to a packet socket goes, the kernel waits until no processor can be looking at its receive
//! hook any more (`synchronize_net` in `packet_release`): 5 to 15 ms a socket, during which a pod waits for nothing. A
//! child process that holds the same sockets takes the waiting over, and we leave.
#![expect(unsafe_code, reason = "no safe wrapper forks")]

use nix::libc;
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::unistd::{ForkResult, fork};

/// How long the child keeps its references, so that ours are never the last: closing takes us microseconds.
const LATER: i64 = 50;

/// Has a child process hold everything that is open now for a moment. Where there can be none, closing takes its time.
pub(crate) fn keep_open() {
    // SAFETY: the child of a process with threads may only make system calls that are safe in signal handlers; it makes
    // close, nanosleep and _exit, and allocates nothing.
    if let Ok(ForkResult::Child) = unsafe { fork() } {
        let pause = TimeSpec::milliseconds(LATER);
        // SAFETY: none of the calls touches memory but `pause`, which is on this stack. The standard streams go first:
        // whoever started us waits for their end.
        unsafe {
            for stream in 0..=2 {
                libc::close(stream);
            }
            libc::nanosleep(pause.as_ref(), std::ptr::null_mut());
            libc::_exit(0);
        }
    }
}
