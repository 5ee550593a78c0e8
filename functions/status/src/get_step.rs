//! `GET /v1/jobs/{id}/steps/{place}`: one step of the user's own job, with its result. The job itself shows only the
//! result of its last step.

use domain::{
    job::Job,
    view::{self, StepView, WholeStepView},
};
use platform::http::{self, ApiError, Code, Response};

use crate::Status;

/// Returns the step. An index that the job does not have, or that is malformed, answers 404.
pub(crate) async fn get_step(status: &Status, job: &Job, place: &str) -> Result<Response, ApiError> {
    let not_found = || ApiError::new(Code::NotFound);
    let place = parse(place).ok_or_else(not_found)?;
    let step = StepView::at(job, place).ok_or_else(not_found)?;
    let result = status.table.result_at(job, view::result_of_step(job, place)).await?;
    Ok(http::ok(&WholeStepView { step, result: result.shown() }))
}

/// Only the canonical spelling of an index: no sign, no leading zero.
fn parse(text: &str) -> Option<usize> {
    text.parse().ok().filter(|place: &usize| place.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_spelt_in_one_way() {
        assert_eq!([parse("0"), parse("7"), parse("59")], [Some(0), Some(7), Some(59)]);
        for text in ["", "00", "01", "+1", "-1", " 1", "1.0", "0x1", "٣", "99999999999999999999"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
