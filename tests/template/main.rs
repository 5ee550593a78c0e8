//! `template.yaml` against the code that it deploys: numbers that have to fit each other, names of environment
//! variables, routes, the table's shape, and rights that are exactly those that the functions use.
//!
//! What the SAM transform makes of it is `scripts/deploy/lint-template.sh`'s to check.

mod architecture;
mod document;
mod environment;
mod parameters;
mod recursion;
mod relations;
mod rights;
mod routes;
mod table;
