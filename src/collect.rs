//! Asks all endpoints in parallel and makes an [`Inventory`] of the answers.
