//! The engine, its clock, and the bounds of one call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use parking_lot::{Condvar, Mutex};
use spiderpool_engine::{MEMORY_CEILING, config};
use wasmtime::component::Linker;
use wasmtime::{
    Enabled, Engine, EngineWeak, InstanceAllocationStrategy, PoolingAllocationConfig, ResourceLimiter, Store, Trap,
    UpdateDeadline,
};

use crate::failure::HostError;
use crate::limits::Limits;

/// Instances that can be alive at once; calls beyond it are answered with `Busy`.
pub(crate) const SLOTS: usize = 64;

/// Calls beyond one per processor that run at once: a policy that spins or that is only compared with does not take the
/// last place from those that are waited for.
const SPARE: usize = 1;

/// The resolution of deadlines while calls are under way. Two milliseconds hold a deadline of three ticks within 6.6 ms on a
/// quiet machine.
const TICK: Duration = Duration::from_millis(2);

/// The same after a tick that found none. Few calls live to see a tick; one that begins meanwhile and does not end has so
/// much more time.
const SLOW_TICK: Duration = Duration::from_millis(10);

/// How many times its deadline a call may take by the clock when others keep the processors busy.
const PATIENCE: u32 = 10;

/// Slow ticks without a call after which the clock sleeps. Waking it costs a call more than the call itself, so it stays
/// awake between the calls of a busy node; 100 ms later it uses no processor at all.
const LINGER: u32 = 10;

/// A policy's memory of up to this size stays resident between calls, so that the next one does not fault it in again.
const RESIDENT: usize = 1 << 20;

/// The engine and what keeps its time.
#[derive(Clone)]
pub(crate) struct Sandbox {
    pub(crate) engine: Engine,
    /// Empty: nothing can be imported.
    pub(crate) linker: Arc<Linker<Bounds>>,
    clock: Arc<Clock>,
    turns: Arc<Turns>,
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
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let turns = Turns { free: Mutex::new((processors + SPARE).min(SLOTS)), freed: Condvar::new() };
        Ok(Self { linker: Arc::new(Linker::new(&engine)), engine, clock: Arc::new(clock), turns: Arc::new(turns) })
    }

    /// Waits for its turn, then a call begins: the clock runs until the guard is dropped.
    ///
    /// Calls do nothing but compute. More of them than processors would not end earlier, and each would take longer by
    /// the clock, so that deadlines would hit the innocent.
    pub(crate) fn enter(&self) -> InCall<'_> {
        self.turns.take();
        self.clock.state.calls.fetch_add(1, Ordering::SeqCst);
        if self.clock.state.asleep.load(Ordering::SeqCst) {
            self.clock.thread.unpark();
        }
        InCall(self)
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

pub(crate) struct InCall<'a>(&'a Sandbox);

/// How many more calls may run.
struct Turns {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Turns {
    fn take(&self) {
        let mut free = self.free.lock();
        self.freed.wait_while(&mut free, |free| *free == 0);
        *free -= 1;
    }

    fn give_back(&self) {
        *self.free.lock() += 1;
        self.freed.notify_one();
    }
}

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
            thread::sleep(if idle == 0 { TICK } else { SLOW_TICK });
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
        self.0.clock.state.calls.fetch_sub(1, Ordering::SeqCst);
        self.0.turns.give_back();
    }
}

/// Ticks that a time is worth. One more than that, because the tick under way may end at once.
fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_millis().div_ceil(TICK.as_millis())).unwrap_or(u64::MAX - 1) + 1
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else { return Duration::MAX };
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

/// Begins a call's deadline. When the time is up by the clock, the processor time decides: on a busy machine a call
/// that hardly got to run is not at fault. It gets [`PATIENCE`] times its deadline at most.
///
/// Few calls live to see a tick, and asking for the processor time is a system call: the first tick asks, and what came
/// before it counts as if the processor had been had all the while.
pub(crate) fn set_deadline(store: &mut Store<Bounds>, limits: &Limits) {
    let deadline = Duration::from_millis(limits.deadline_milliseconds.into());
    let begun = Instant::now();
    let mut before = None;
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        let (elapsed, now) = (begun.elapsed(), processor_time());
        let before = *before.get_or_insert_with(|| now.saturating_sub(elapsed.min(TICK)));
        let left = deadline.saturating_sub(now.saturating_sub(before));
        if left.is_zero() || elapsed >= deadline * PATIENCE {
            return Err(Trap::Interrupt.into());
        }
        Ok(UpdateDeadline::Continue(ticks(left)))
    });
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
