//! One loaded policy and the calls that it answers.

use wasmtime::component::{ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Lower, TypedFunc};
use wasmtime::{Store, Trap};

use crate::bindings::{
    Demand, Facts, Judged, Outcome, Pool, Problem, Proposal, Refusal, Request, Step, Subject, Verdict,
};
use crate::engine::{Bounds, Sandbox, ticks};
use crate::failure::{CallFailure, LoadError};
use crate::limits::Limits;

/// The parameters and results of the contract's functions, as they cross the border.
pub(crate) type Judge<'a> = ((&'a str, &'a Subject, &'a [&'a Pool]), (Vec<Verdict>,));
pub(crate) type Candidates<'a> = ((&'a str, &'a Request), (Result<Vec<Demand>, Refusal>,));
pub(crate) type Arrange<'a> = ((&'a str, &'a Request, &'a [Judged]), (Result<Vec<Step>, Refusal>,));
pub(crate) type Reviewed<'a> = ((&'a str, &'a Proposal, &'a Facts), (Outcome,));
pub(crate) type Checked<'a> = ((&'a str,), (Result<(), Vec<Problem>>,));

/// A component, linked against nothing, and where its functions are. A function that is none is not exported.
pub(crate) struct Guest {
    pub(crate) sandbox: Sandbox,
    pub(crate) pre: InstancePre<Bounds>,
    pub(crate) check: Option<ComponentExportIndex>,
    pub(crate) judge: Option<ComponentExportIndex>,
    pub(crate) candidates: Option<ComponentExportIndex>,
    pub(crate) arrange: Option<ComponentExportIndex>,
    pub(crate) review: Option<ComponentExportIndex>,
}

impl Guest {
    /// Whether the function has the contract's shape. After this, [`Guest::call`] with the same types is sound.
    pub(crate) fn confirm<P, R>(&self, function: &'static str, index: &ComponentExportIndex) -> Result<(), LoadError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let limits = Limits::default();
        let failed = |error: wasmtime::Error| LoadError::Shape { function, cause: format!("{error:#}") };
        let mut store = self.store(&limits).map_err(failed)?;
        let _running = self.sandbox.enter();
        let instance = self.pre.instantiate(&mut store).map_err(|error| LoadError::Trial {
            function: "its start",
            failure: name_failure(&error, &store, &limits),
        })?;
        instance.get_typed_func::<P, R>(&mut store, index).map(drop).map_err(failed)
    }

    /// Asks once, in a fresh instance. `P` and `R` must be the types that [`Guest::confirm`] confirmed for `index`.
    pub(crate) fn call<P, R>(&self, index: &ComponentExportIndex, limits: &Limits, params: P) -> Result<R, CallFailure>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let mut store = self.store(limits).map_err(|error| CallFailure::Host(format!("{error:#}")))?;
        let _running = self.sandbox.enter();
        let result = self.pre.instantiate(&mut store).and_then(|instance| {
            let function =
                instance.get_func(&mut store, index).ok_or_else(|| wasmtime::format_err!("export vanished"))?;
            #[expect(unsafe_code, reason = "the types were compared when this very component was loaded")]
            let function = unsafe { TypedFunc::<P, R>::new_unchecked(function) };
            function.call(&mut store, params)
        });
        result.map_err(|error| name_failure(&error, &store, limits))
    }

    fn store(&self, limits: &Limits) -> wasmtime::Result<Store<Bounds>> {
        let mut store = Store::new(&self.sandbox.engine, Bounds::new(limits));
        store.limiter(|bounds| bounds);
        store.set_fuel(limits.fuel)?;
        store.epoch_deadline_trap();
        store.set_epoch_deadline(ticks(limits));
        store.set_hostcall_fuel(limits.answer_kib << 10);
        Ok(store)
    }
}

fn name_failure(error: &wasmtime::Error, store: &Store<Bounds>, limits: &Limits) -> CallFailure {
    if store.data().memory_exceeded {
        return CallFailure::Memory { mebibytes: limits.memory_mib };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => CallFailure::Deadline { milliseconds: limits.deadline_milliseconds },
        Some(Trap::OutOfFuel) => CallFailure::Fuel { fuel: limits.fuel },
        Some(Trap::StackOverflow) => CallFailure::Stack,
        Some(Trap::UnreachableCodeReached) => CallFailure::Trap(format!("it panicked{}", place(error))),
        Some(trap) => CallFailure::Trap(format!("{trap}{}", place(error))),
        None => {
            let text = format!("{error:#}");
            if text.contains("maximum concurrent") {
                CallFailure::Busy(crate::engine::SLOTS)
            } else if text.contains("hostcall") {
                CallFailure::TooLarge { kibibytes: limits.answer_kib }
            } else {
                CallFailure::Trap(text)
            }
        }
    }
}

/// The innermost function that has a name, for the author of the policy.
fn place(error: &wasmtime::Error) -> String {
    let frames =
        error.downcast_ref::<wasmtime::WasmBacktrace>().map(wasmtime::WasmBacktrace::frames).unwrap_or_default();
    let names = frames.iter().filter_map(|frame| frame.func_name());
    names.last().map(|name| format!(" in {name}")).unwrap_or_default()
}
