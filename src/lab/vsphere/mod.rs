//! The vSphere front: vim25 SOAP over the world, at `/sdk`.

use axum::Router;

use super::LabEndpoint;
use super::faults::Faults;
use super::record::Record;
use super::world::WorldHandle;

/// What a front is made of.
pub(in crate::lab) struct FrontParts {
    pub endpoint: LabEndpoint,
    pub world: WorldHandle,
    pub record: Record,
    pub faults: Faults,
    pub seed: u64,
}

pub(in crate::lab) struct Front {
    parts: FrontParts,
}

impl Front {
    pub fn new(parts: FrontParts) -> Self {
        Self { parts }
    }
    pub fn router(self) -> Router {
        let _ = &self.parts;
        Router::new()
    }
}
