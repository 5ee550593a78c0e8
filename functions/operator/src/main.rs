//! operator as a Lambda function.
fn main() {}
