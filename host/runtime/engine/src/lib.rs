//! How policies are compiled and run: the settings that the compiler and the host must agree on.
//!
//! The compiler bakes them into what it writes, and the runtime refuses code that was made with others.

use std::num::NonZeroUsize;

use wasmtime::Config;

/// The ceiling of a policy's memory, in bytes.
pub const MEMORY_CEILING: u64 = 256 << 20;

/// Address space set aside for one linear memory, in bytes: all that a 32-bit address reaches, so that generated code need
/// not compare before it reads. It costs no memory; a process under `RLIMIT_AS` needs it free for every instance.
const RESERVATION: u64 = 4 << 30;

/// Native stack that Wasm code may use, in bytes. The deepest recursion in a built-in takes a hundredth of it.
pub const STACK: usize = 256 << 10;

/// Names the wasmtime release and everything below that changes generated code: part of the key of cached code. Raise
/// the last number with any change to [`config`].
pub const REVISION: &str = "wasmtime-48.0.8-spiderpool-2";

/// The settings that shape generated code.
#[must_use]
pub fn config() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK)
        .memory_reservation(RESERVATION)
        .memory_reservation_for_growth(0)
        .wasm_component_model(true)
        .wasm_backtrace_max_frames(NonZeroUsize::new(8));
    #[cfg(feature = "compile")]
    config.cranelift_opt_level(wasmtime::OptLevel::Speed);
    config
}
