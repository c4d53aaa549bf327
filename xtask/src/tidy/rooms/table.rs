//! The table that ARCHITECTURE.md draws. Arrows point down; `host/*` are siblings that never import each other.

/// What the crates of a room may know of this repository. A name that ends in `*` stands for all that begin so.
pub(super) struct Row {
    pub(super) room: &'static str,
    pub(super) may_use: &'static [&'static str],
}

/// Dependencies from elsewhere that belong to some rooms alone.
pub(super) struct Fence {
    pub(super) crates: &'static [&'static str],
    pub(super) rooms: &'static [&'static str],
    /// Rooms that may use a part.
    pub(super) partly: &'static [Partly],
    pub(super) remedy: &'static str,
}

/// A room inside a fence for the sake of some features, without the default ones.
pub(super) struct Partly {
    pub(super) room: &'static str,
    pub(super) features: &'static [&'static str],
}

const fn row(room: &'static str, may_use: &'static [&'static str]) -> Row {
    Row { room, may_use }
}

/// The first row that fits a room is the one that counts.
pub(super) const EDGES: &[Row] = &[
    // Nouns without I/O.
    row("api/ip", &[]),
    row("api/wire", &["api/ip"]),
    row("api/crd", &["api/ip"]),
    // The sandboxed side.
    row("policies/guide", &[]),
    row("policies/examples/*", &["policies/guide", "policies/allocation", "api/ip"]),
    row("policies/*", &["policies/guide", "api/ip"]),
    row("tests/guests/*", &["policies/guide"]),
    // Mechanisms.
    row("host/runtime/engine", &[]),
    row("host/runtime/compiler", &["host/runtime/engine"]),
    row("host/runtime", &["host/runtime/engine", "api/*"]),
    row("host/storage", &["api/*", "tests/cluster"]),
    row("host/netlink", &["api/ip"]),
    row("host/probe", &["api/ip"]),
    row("host/cli", &[]),
    // Processes.
    row("agent", &["host/cli", "host/runtime", "host/storage", "host/netlink", "host/probe", "api/*"]),
    row("cni/plugin", &["api/ip", "api/wire"]),
    row("cni/*", &["cni/plugin", "api/ip", "api/wire", "host/netlink", "host/probe"]),
    row("cni", &["cni/*"]),
    row("controller", &["host/cli", "api/*", "tests/cluster"]),
    row("ctl", &["host/cli", "host/runtime", "api/*"]),
    // What is not installed.
    row("tests/cluster", &["api/crd"]),
    row("tests", &["*"]),
    row("xtask/crds", &["api/crd"]),
    row("xtask", &[]),
];

pub(super) const FENCES: &[Fence] = &[
    Fence {
        crates: &["wasmtime", "wasmtime-*", "cranelift-*"],
        rooms: &["host/runtime", "host/runtime/*"],
        partly: &[],
        remedy: "ask host/runtime for what is needed: nobody else sees the sandbox's engine",
    },
    Fence {
        crates: &["kube", "kube-*"],
        rooms: &["host/storage", "agent", "controller", "tests", "tests/cluster"],
        partly: &[Partly { room: "api/crd", features: &["derive"] }],
        remedy: "a client of the API server belongs behind host/storage",
    },
    Fence {
        crates: &["rtnetlink", "netlink-*", "neli"],
        rooms: &["host/netlink", "host/probe"],
        partly: &[],
        remedy: "give host/netlink a function for it",
    },
    Fence {
        crates: &["wit-bindgen", "wit-bindgen-*"],
        rooms: &["policies/guide"],
        partly: &[],
        remedy: "policies take their bindings from policies/guide",
    },
];
