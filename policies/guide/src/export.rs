//! What turns a type into a component: one macro per world of the contract.
//!
//! They leave something behind for wasm32 only, so that a policy is an ordinary crate everywhere else.

/// Exports `settings` and `affinity`; the type implements [`Settings`](crate::Settings) and
/// [`Affinity`](crate::Affinity).
#[macro_export]
macro_rules! export_affinity_policy {
    ($policy:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::settings::export_settings_interface!($policy);
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::affinity::export_affinity_interface!($policy);
    };
}

/// Exports `settings` and `allocation`; the type implements [`Settings`](crate::Settings) and
/// [`Allocation`](crate::Allocation).
#[macro_export]
macro_rules! export_allocation_policy {
    ($policy:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::settings::export_settings_interface!($policy);
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::allocation::export_allocation_interface!($policy);
    };
}

/// Exports `settings`, `affinity` and `allocation`; the type implements [`Settings`](crate::Settings),
/// [`Affinity`](crate::Affinity) and [`Allocation`](crate::Allocation).
#[macro_export]
macro_rules! export_placement_policy {
    ($policy:ident) => {
        $crate::export_affinity_policy!($policy);
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::allocation::export_allocation_interface!($policy);
    };
}

/// Exports `settings` and `validation`; the type implements [`Settings`](crate::Settings) and
/// [`Validation`](crate::Validation).
#[macro_export]
macro_rules! export_validation_policy {
    ($policy:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::settings::export_settings_interface!($policy);
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::validation::export_validation_interface!($policy);
    };
}

/// Exports `settings` and `retention`; the type implements [`Settings`](crate::Settings) and
/// [`Retention`](crate::Retention).
#[macro_export]
macro_rules! export_retention_policy {
    ($policy:ident) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::settings::export_settings_interface!($policy);
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::retention::export_retention_interface!($policy);
    };
}
