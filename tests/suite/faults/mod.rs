//! Storage whose files fail: calls of the operating system, made to fail by a layer in C (`layer`), and a disk that is
//! really full; and threads that die.

mod disk;
mod durable;
mod layer;
mod mails;
mod script;
mod sweep;
mod workers;
mod world;
