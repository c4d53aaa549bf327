//! The engine, its clock, and the bounds of one call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use spiderpool_engine::{MEMORY_CEILING, config};
use wasmtime::component::Linker;
use wasmtime::{Enabled, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig, ResourceLimiter};

use crate::failure::HostError;
use crate::limits::Limits;

/// Instances that can be alive at once; calls beyond it are answered with `Busy`.
pub(crate) const SLOTS: usize = 64;

/// The resolution of deadlines. Two milliseconds hold a deadline of three ticks within 6.6 ms on a quiet machine.
const TICK: Duration = Duration::from_millis(2);

/// A policy's memory of up to this size stays resident between calls, so that the next one does not fault it in again.
const RESIDENT: usize = 1 << 20;

/// The engine and what keeps its time.
#[derive(Clone)]
pub(crate) struct Sandbox {
    pub(crate) engine: Engine,
    /// Empty: nothing can be imported.
    pub(crate) linker: Arc<Linker<Bounds>>,
    clock: Arc<Clock>,
}

impl Sandbox {
    pub(crate) fn new() -> Result<Self, HostError> {
        let failed = |error: wasmtime::Error| HostError::Engine(format!("{error:#}"));
        let mut pool = PoolingAllocationConfig::default();
        let slots = SLOTS as u32;
        pool.total_component_instances(slots)
            .total_core_instances(slots * 8)
            .total_memories(slots)
            .total_tables(slots * 4)
            // Python's and JavaScript's runtimes need these; they cost address space only.
            .max_core_instances_per_component(200)
            .table_elements(65_536)
            .max_memory_size(MEMORY_CEILING as usize)
            .linear_memory_keep_resident(RESIDENT)
            .table_keep_resident(64 << 10)
            // Without it, two threads slow each other down on the lock of the address space.
            .pagemap_scan(Enabled::Auto);
        let mut config = config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).map_err(failed)?;
        let clock = Clock::start(engine.weak()).map_err(|error| HostError::Engine(format!("clock: {error}")))?;
        Ok(Self { linker: Arc::new(Linker::new(&engine)), engine, clock: Arc::new(clock) })
    }

    /// A call begins: the clock runs until the guard is dropped.
    pub(crate) fn enter(&self) -> InCall<'_> {
        if self.clock.calls.fetch_add(1, Ordering::AcqRel) == 0 {
            self.clock.thread.unpark();
        }
        InCall(&self.clock)
    }
}

/// Ticks while calls are under way and sleeps otherwise.
struct Clock {
    calls: Arc<AtomicUsize>,
    thread: Thread,
}

pub(crate) struct InCall<'a>(&'a Clock);

impl Clock {
    fn start(engine: EngineWeak) -> std::io::Result<Self> {
        let calls = Arc::new(AtomicUsize::new(0));
        let under_way = Arc::clone(&calls);
        let thread = thread::Builder::new().name("policy-clock".into()).spawn(move || {
            loop {
                if under_way.load(Ordering::Acquire) == 0 {
                    // Wakes up now and then to see whether the engine is still there.
                    thread::park_timeout(Duration::from_secs(60));
                } else {
                    thread::sleep(TICK);
                }
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => break,
                }
            }
        })?;
        Ok(Self { calls, thread: thread.thread().clone() })
    }
}

impl Drop for InCall<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Ticks that a deadline is worth. One more than that, because the tick under way may end at once.
pub(crate) fn ticks(limits: &Limits) -> u64 {
    u64::from(limits.deadline_milliseconds).div_ceil(TICK.as_millis() as u64) + 1
}

/// What one call may take.
pub(crate) struct Bounds {
    memory: usize,
    /// Whether it asked for more memory than that.
    pub(crate) memory_exceeded: bool,
}

impl Bounds {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { memory: (limits.memory_mib as usize) << 20, memory_exceeded: false }
    }
}

impl ResourceLimiter for Bounds {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired <= self.memory {
            return Ok(true);
        }
        self.memory_exceeded = true;
        // Refusing the growth would surface as a panic of the policy's allocator.
        wasmtime::bail!("memory limit")
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}
