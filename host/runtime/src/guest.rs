//! A component in the sandbox: the contract's functions that it exports, and one call of them.

use std::marker::PhantomData;

use rustc_demangle::demangle;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, ComponentType, Instance, InstancePre, Lift, Lower, TypedFunc,
};
use wasmtime::{Store, Trap, WasmBacktrace};

use crate::bindings::{
    Cni, Context, Decision, Demand, Event, Facts, Holder, Judged, Nic, Outcome, Pool, Problem, Proposal, Refusal, Step,
    Verdict,
};
use crate::engine::{Bounds, SLOTS, Sandbox, set_deadline};
use crate::failure::{CallFailure, LoadError};
use crate::inspect::{self, Inspection};
use crate::limits::Limits;
use crate::metrics::Meter;

/// `affinity.subject`, lent: a context has about a hundred texts, which nobody wants to copy for a call.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct Subject<'a> {
    pub(crate) context: &'a Context,
    pub(crate) nic: &'a Nic,
}

/// `allocation.request`, lent.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
pub(crate) struct Request<'a> {
    pub(crate) context: &'a Context,
    pub(crate) cni: &'a Cni,
}

/// A function of the contract: its name, and what crosses the border. Arguments are lent, never copied on this side.
pub(crate) trait Function {
    const INTERFACE: &'static str;
    const NAME: &'static str;
    type Params<'a>: ComponentNamedList + Lower;
    type Results: ComponentNamedList + Lift;
}

macro_rules! function {
    ($marker:ident, $interface:literal, $name:literal, $params:ty, $result:ty) => {
        #[doc = concat!("`", $interface, ".", $name, "`")]
        pub(crate) struct $marker;

        impl Function for $marker {
            const INTERFACE: &'static str = $interface;
            const NAME: &'static str = $name;
            type Params<'a> = $params;
            type Results = ($result,);
        }
    };
}

function!(Check, "settings", "check", (&'a str,), Result<(), Vec<Problem>>);
function!(Judge, "affinity", "judge", (&'a str, Subject<'a>, &'a [&'a Pool]), Vec<Verdict>);
function!(Candidates, "allocation", "candidates", (&'a str, Request<'a>), Result<Vec<Demand>, Refusal>);
function!(Arrange, "allocation", "arrange", (&'a str, Request<'a>, &'a [Judged]), Result<Vec<Step>, Refusal>);
function!(Review, "validation", "review", (&'a str, &'a Proposal, &'a Facts), Outcome);
function!(Keep, "retention", "keep", (&'a str, &'a Holder, &'a Event), Decision);

/// Where a component exports a function that was seen to have the contract's shape.
pub(crate) struct Export<F> {
    index: ComponentExportIndex,
    pub(crate) meter: Meter,
    function: PhantomData<fn() -> F>,
}

/// A component, linked against nothing, and its functions. One that is none is not exported.
pub(crate) struct Guest {
    sandbox: Sandbox,
    pre: InstancePre<Bounds>,
    pub(crate) check: Option<Export<Check>>,
    pub(crate) judge: Option<Export<Judge>>,
    pub(crate) candidates: Option<Export<Candidates>>,
    pub(crate) arrange: Option<Export<Arrange>>,
    pub(crate) review: Option<Export<Review>>,
    pub(crate) keep: Option<Export<Keep>>,
}

impl Guest {
    /// Finds the contract's functions in a component, and compares their shapes with those of this host.
    pub(crate) fn link(
        sandbox: &Sandbox,
        component: &Component,
        inspection: &Inspection,
        limits: &Limits,
        meters: impl Fn(&'static str) -> Meter,
    ) -> Result<Self, LoadError> {
        let pre = sandbox.linker.instantiate_pre(component);
        let pre = pre.map_err(|error| LoadError::Import(format!("{error:#}")))?;
        let mut guest = Self {
            sandbox: sandbox.clone(),
            pre,
            check: None,
            judge: None,
            candidates: None,
            arrange: None,
            review: None,
            keep: None,
        };
        let _running = sandbox.enter();
        let (mut store, instance) = guest.start(limits)?;
        let mut finder = Finder { component, inspection, meters, store: &mut store, instance };
        guest.check = finder.find()?;
        guest.judge = finder.find()?;
        guest.candidates = finder.find()?;
        guest.arrange = finder.find()?;
        guest.review = finder.find()?;
        guest.keep = finder.find()?;
        Ok(guest)
    }

    fn start(&self, limits: &Limits) -> Result<(Store<Bounds>, Instance), LoadError> {
        let failed = |failure| LoadError::Trial { function: "its start", failure };
        let mut store = self.store(limits).map_err(|error| failed(CallFailure::Host(format!("{error:#}"))))?;
        match self.pre.instantiate(&mut store) {
            Ok(instance) => Ok((store, instance)),
            Err(error) => Err(failed(name_failure(&error, &store, limits))),
        }
    }

    /// Asks once, in a fresh instance.
    pub(crate) fn call<F: Function>(
        &self,
        export: &Export<F>,
        limits: &Limits,
        params: F::Params<'_>,
    ) -> Result<F::Results, CallFailure> {
        // The store's deadline begins when it is made.
        let _running = self.sandbox.enter();
        let mut store = self.store(limits).map_err(|error| CallFailure::Host(format!("{error:#}")))?;
        let result = self.pre.instantiate(&mut store).and_then(|instance| {
            let function = instance.get_func(&mut store, export.index);
            let function = function.ok_or_else(|| wasmtime::format_err!("export vanished"))?;
            #[expect(unsafe_code, reason = "an Export exists only where these very types were compared")]
            let function = unsafe { TypedFunc::<F::Params<'_>, F::Results>::new_unchecked(function) };
            function.call(&mut store, params)
        });
        result.map_err(|error| name_failure(&error, &store, limits))
    }

    fn store(&self, limits: &Limits) -> wasmtime::Result<Store<Bounds>> {
        let mut store = Store::new(&self.sandbox.engine, Bounds::new(limits));
        store.limiter(|bounds| bounds);
        store.set_fuel(limits.fuel)?;
        set_deadline(&mut store, limits);
        store.set_hostcall_fuel(limits.answer_kib << 10);
        Ok(store)
    }
}

/// Looks for functions in an instance that exists for this only.
struct Finder<'a, M> {
    component: &'a Component,
    inspection: &'a Inspection,
    meters: M,
    store: &'a mut Store<Bounds>,
    instance: Instance,
}

impl<M: Fn(&'static str) -> Meter> Finder<'_, M> {
    fn find<F: Function>(&mut self) -> Result<Option<Export<F>>, LoadError> {
        let interface = inspect::served(&self.inspection.exports, F::INTERFACE);
        let index = interface.and_then(|interface| {
            let interface = self.component.get_export_index(None, interface.name.as_str())?;
            self.component.get_export_index(Some(&interface), F::NAME)
        });
        let Some(index) = index else { return Ok(None) };
        let typed = self.instance.get_typed_func::<F::Params<'_>, F::Results>(&mut *self.store, index);
        typed.map_err(|error| LoadError::Shape {
            interface: F::INTERFACE,
            function: F::NAME,
            cause: format!("{error:#}"),
        })?;
        Ok(Some(Export { index, meter: (self.meters)(F::NAME), function: PhantomData }))
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
                CallFailure::Busy(SLOTS)
            } else if text.contains("hostcall") {
                CallFailure::TooLarge { kibibytes: limits.answer_kib }
            } else {
                CallFailure::Trap(text)
            }
        }
    }
}

/// The innermost function of the policy's own, for its author: below it is only how its language panics.
fn place(error: &wasmtime::Error) -> String {
    const RUNTIME: [&str; 7] = ["core::", "std::", "alloc::", "rust_", "__rust", "<core::", "<alloc::"];
    let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
    let mut names = frames.iter().filter_map(|frame| Some(format!("{:#}", demangle(frame.func_name()?))));
    let own = names.find(|name| !RUNTIME.iter().any(|prefix| name.starts_with(prefix)));
    own.map(|name| format!(" in {name}")).unwrap_or_default()
}
