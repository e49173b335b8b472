//! What the server needs of a project: its runbooks, its environments, who may do what.

mod detectors;
mod present;
mod project;
mod reload;
mod run;
mod ways;

pub use self::{
    project::{CLOSING, Served, granted},
    run::{Asked, run},
};
