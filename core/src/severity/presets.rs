//! The matrices of five guides, as files in the format that people write their own in.

use std::{array, fmt, sync::LazyLock};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{BadMatrix, Matrix};

/// A matrix as one of the guides has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// “Incident Response Guide”: SEV-1 to SEV-4, in hours of business, with a chain to the CEO.
    S0,
    /// “Incident Response”: SEV1 to SEV4 by what is unavailable, with who is called together.
    S1,
    /// “Incident Response Runbook”: SEV1 to SEV4, the quickest answers, escalation by the clock.
    S2,
    /// “Incident Management”: SEV-1 to SEV-4 with revenue and an update cadence for each.
    #[default]
    S3,
    /// “Incident Response Skill”: SEV0 to SEV3.
    S4,
}

impl Preset {
    pub const ALL: [Self; 5] = [Self::S0, Self::S1, Self::S2, Self::S3, Self::S4];

    /// The name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::S0 => "s0",
            Self::S1 => "s1",
            Self::S2 => "s2",
            Self::S3 => "s3",
            Self::S4 => "s4",
        }
    }

    /// Its levels, to use or to write one's own from.
    pub fn text(self) -> &'static str {
        match self {
            Self::S0 => include_str!("s0.yaml"),
            Self::S1 => include_str!("s1.yaml"),
            Self::S2 => include_str!("s2.yaml"),
            Self::S3 => include_str!("s3.yaml"),
            Self::S4 => include_str!("s4.yaml"),
        }
    }

    #[expect(clippy::expect_used, reason = "the files are part of the program, and a test reads each")]
    pub fn matrix(self) -> Matrix {
        static READ: LazyLock<[Matrix; 5]> = LazyLock::new(|| {
            array::from_fn(|place| read(Preset::ALL[place]).expect("a preset is a good matrix"))
        });
        READ[self as usize].clone()
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

pub(super) fn read(preset: Preset) -> Result<Matrix, BadMatrix> {
    let value: Value = serde_yaml::from_str(preset.text()).map_err(|error| BadMatrix {
        at: preset.to_string(),
        why: error.to_string(),
        hint: None,
    })?;
    Matrix::from_config(&value)
}
