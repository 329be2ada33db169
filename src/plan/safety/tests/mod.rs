//! The product's promises, each as a sentence.

mod creation;
mod limits;
mod machine;
mod people;
mod protection;
mod unknown;
