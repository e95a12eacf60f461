//! Checks that sections of the configuration share. A section is the type that uses it: read as such, checked there. Errors
//! name the key.

pub fn above_zero(key: &str, value: u64) -> Result<(), String> {
    if value == 0 { Err(format!("{key} must be above 0")) } else { Ok(()) }
}

pub fn at_most(key: &str, value: u32, ceiling: u32) -> Result<(), String> {
    if value > ceiling { Err(format!("{key} must be at most {ceiling}")) } else { Ok(()) }
}
