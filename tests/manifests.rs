//! Manifests from text to desired state: problem reports as goldens, what is resolved, hostile input, folders, schemas.

#[path = "support/hostile.rs"]
mod by_seed;

mod manifests {
    pub mod again;
    pub mod explained;
    pub mod folders;
    pub mod goldens;
    pub mod hostile;
    pub mod resolved;
    pub mod schemas;
    pub mod vocabulary;
}
