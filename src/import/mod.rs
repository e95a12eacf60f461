//! Input from files: timetables and fares become commands to the owner of the catalogue. Reading decides nothing: what
//! may be sold is checked by the catalogue itself.

pub mod timetable;
