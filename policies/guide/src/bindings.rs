//! The contract in Rust: generated from `wit/policy`, one module per interface.
//!
//! Each interface is bound once, by a small world of its own, so that its types are the same in every policy and in
//! every library that policies share. The componentizer unites what the export macros leave in the module, so a policy
//! exports exactly the interfaces whose macros it calls.

/// Binds the world `$world`, written next to the contract's own. Natively the types also read and write through
/// `serde`, so that tables of test cases can be mapped onto them; in the sandbox that would be dead weight.
macro_rules! bind {
    ($world:tt, $inline:tt, $($option:tt)*) => {
        #[cfg(target_arch = "wasm32")]
        wit_bindgen::generate!({
            path: "../../wit/policy",
            world: $world,
            inline: $inline,
            additional_derives: [PartialEq, Eq],
            $($option)*
        });
        #[cfg(not(target_arch = "wasm32"))]
        wit_bindgen::generate!({
            path: "../../wit/policy",
            world: $world,
            inline: $inline,
            additional_derives: [PartialEq, Eq, serde::Serialize, serde::Deserialize],
            $($option)*
        });
    };
}

/// The nouns of every question.
pub mod types {
    bind! {
        "nouns",
        "package spiderpool:guide; world nouns { import spiderpool:policy/types@0.1.0; }",
        generate_all,
        generate_unused_types: true,
    }
    pub use self::spiderpool::policy::types::*;
}

/// Judging settings.
pub mod settings {
    bind! {
        "settings-alone",
        "package spiderpool:guide; world settings-alone { export spiderpool:policy/settings@0.1.0; }",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_settings_interface",
        default_bindings_module: "spiderpool_policy_guide::bindings::settings",
    }
    pub use self::exports::spiderpool::policy::settings::*;
}

/// Judging pools.
pub mod affinity {
    bind! {
        "affinity-alone",
        "package spiderpool:guide; world affinity-alone { export spiderpool:policy/affinity@0.1.0; }",
        with: { "spiderpool:policy/types@0.1.0": crate::bindings::types },
        pub_export_macro: true,
        export_macro_name: "export_affinity_interface",
        default_bindings_module: "spiderpool_policy_guide::bindings::affinity",
    }
    pub use self::exports::spiderpool::policy::affinity::*;
}

/// Naming candidates and arranging pools.
pub mod allocation {
    bind! {
        "allocation-alone",
        "package spiderpool:guide; world allocation-alone { export spiderpool:policy/allocation@0.1.0; }",
        with: { "spiderpool:policy/types@0.1.0": crate::bindings::types },
        pub_export_macro: true,
        export_macro_name: "export_allocation_interface",
        default_bindings_module: "spiderpool_policy_guide::bindings::allocation",
    }
    pub use self::exports::spiderpool::policy::allocation::*;
}

/// Keeping and releasing addresses.
pub mod retention {
    bind! {
        "retention-alone",
        "package spiderpool:guide; world retention-alone { export spiderpool:policy/retention@0.1.0; }",
        with: { "spiderpool:policy/types@0.1.0": crate::bindings::types },
        pub_export_macro: true,
        export_macro_name: "export_retention_interface",
        default_bindings_module: "spiderpool_policy_guide::bindings::retention",
    }
    pub use self::exports::spiderpool::policy::retention::*;
}

/// Reviewing objects.
pub mod validation {
    bind! {
        "validation-alone",
        "package spiderpool:guide; world validation-alone { export spiderpool:policy/validation@0.1.0; }",
        with: { "spiderpool:policy/types@0.1.0": crate::bindings::types },
        pub_export_macro: true,
        export_macro_name: "export_validation_interface",
        default_bindings_module: "spiderpool_policy_guide::bindings::validation",
    }
    pub use self::exports::spiderpool::policy::validation::*;
}
