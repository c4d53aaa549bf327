//! The engine, its clock, and the bounds of one call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

/// Ticks without a call after which the clock sleeps. Waking it costs a call more than the call itself, so it stays
/// awake between the calls of a busy node; 100 ms later it uses no processor at all.
const LINGER: u32 = 50;

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
        self.clock.state.calls.fetch_add(1, Ordering::SeqCst);
        if self.clock.state.asleep.load(Ordering::SeqCst) {
            self.clock.thread.unpark();
        }
        InCall(&self.clock.state)
    }
}

/// Ticks while calls are under way and sleeps otherwise.
struct Clock {
    state: Arc<ClockState>,
    thread: Thread,
}

#[derive(Default)]
struct ClockState {
    calls: AtomicUsize,
    asleep: AtomicBool,
    stopped: AtomicBool,
}

pub(crate) struct InCall<'a>(&'a ClockState);

impl Clock {
    fn start(engine: EngineWeak) -> std::io::Result<Self> {
        let state = Arc::new(ClockState::default());
        let ticking = Arc::clone(&state);
        let thread = thread::Builder::new().name("policy-clock".into()).spawn(move || ticking.run(&engine))?;
        Ok(Self { state, thread: thread.thread().clone() })
    }
}

impl ClockState {
    fn run(&self, engine: &EngineWeak) {
        let mut idle = 0;
        while !self.stopped.load(Ordering::SeqCst) {
            if idle == LINGER {
                self.sleep();
                idle = 0;
            }
            thread::sleep(TICK);
            let Some(engine) = engine.upgrade() else { break };
            engine.increment_epoch();
            idle = if self.calls.load(Ordering::SeqCst) == 0 { idle + 1 } else { 0 };
        }
    }

    /// Until a call begins. A caller raises `calls` before it looks at `asleep`, this does the reverse, so that one of
    /// the two sees the other.
    fn sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        while self.calls.load(Ordering::SeqCst) == 0 && !self.stopped.load(Ordering::SeqCst) {
            thread::park();
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Drop for InCall<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
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
