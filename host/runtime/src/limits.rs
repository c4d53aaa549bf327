//! What one call of a policy may take.

use spiderpool_crd::policy::PolicyLimits;

use crate::failure::LoadError;

/// Bounds of one call. All of them always hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Units of computation, about one an instruction. The same arguments use the same amount on every machine.
    pub fuel: u64,
    /// Time on a processor, in milliseconds, rounded up to 2 ms; by the clock at most ten times that, on a busy machine.
    pub deadline_milliseconds: u32,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// Data that an answer may hold, in KiB.
    pub answer_kib: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // The built-in affinity policy uses 40 thousand units for one pool and 6 million for a thousand, in 0.7 ms.
        Self { fuel: 50_000_000, deadline_milliseconds: 50, memory_mib: 64, answer_kib: 1024 }
    }
}

/// What a SpiderPolicy may ask for at most. Interpreted languages need a multiple of the defaults.
const CEILING: Limits = Limits { fuel: 5_000_000_000, deadline_milliseconds: 1000, memory_mib: 256, answer_kib: 1024 };

impl Limits {
    /// These limits with what a SpiderPolicy asks for.
    ///
    /// # Errors
    /// It asks for more than the ceiling, or for nothing.
    pub fn with(self, asked: Option<&PolicyLimits>) -> Result<Self, LoadError> {
        let Some(PolicyLimits { fuel, deadline_milliseconds, memory_mib }) = asked else { return Ok(self) };
        let check = |field, value: Option<u64>, default: u64, ceiling: u64| match value {
            None => Ok(default),
            Some(value) if (1..=ceiling).contains(&value) => Ok(value),
            Some(value) => Err(LoadError::Limit { field, value, ceiling }),
        };
        let narrow = |field, value: Option<u32>, default: u32, ceiling: u32| {
            let value = check(field, value.map(u64::from), default.into(), ceiling.into())?;
            Ok(u32::try_from(value).unwrap_or(ceiling))
        };
        Ok(Self {
            fuel: check("fuel", *fuel, self.fuel, CEILING.fuel)?,
            deadline_milliseconds: narrow(
                "deadlineMilliseconds",
                *deadline_milliseconds,
                self.deadline_milliseconds,
                CEILING.deadline_milliseconds,
            )?,
            memory_mib: narrow("memoryMiB", *memory_mib, self.memory_mib, CEILING.memory_mib)?,
            answer_kib: self.answer_kib,
        })
    }
}
