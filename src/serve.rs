//! What the server needs of a project: its runbooks, its environments, who may do what.

mod detectors;
mod project;
mod run;

pub use self::{
    project::{CLOSING, Served, granted},
    run::{Asked, run},
};
