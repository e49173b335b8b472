//! The right to drive a run: a lock of the operating system, which ends with the process however that
//! ends. On Linux it is one byte of a file that all claims share; elsewhere each has a file of its own,
//! which costs a run a tenth of its time.

#[cfg(target_os = "linux")]
mod bytes;
#[cfg(any(test, not(target_os = "linux")))]
mod files;

#[cfg(target_os = "linux")]
pub(super) use self::bytes::Claims;
#[cfg(not(target_os = "linux"))]
pub(super) use self::files::Claims;
