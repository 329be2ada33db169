//! Logging in.

use super::Turn;
use crate::lab::vsphere::fault::Fault;
use crate::lab::vsphere::soap::Answer;

/// Two users may log in: the endpoint's own, and one without any right to change something.
pub(super) fn login(turn: &mut Turn<'_>) -> Result<Answer, Fault> {
    let (user, password) = (turn.text("userName").to_owned(), turn.text("password").to_owned());
    let now = turn.world.now_ms();
    let known = turn.identity.users.iter().any(|known| {
        // As vCenter: the user's name is compared without case.
        known.name.eq_ignore_ascii_case(&user) && known.password == password
    });
    if !known {
        turn.cookie = Some(turn.sessions.anonymous());
        return Err(Fault::invalid_login());
    }
    let cookie = turn.sessions.login(&user, turn.caller, now);
    let caller = crate::lab::vsphere::session::Caller { cookie: Some(cookie.clone()), ..turn.caller.clone() };
    turn.cookie = Some(cookie);
    let data = turn.sessions.get(&caller, now).map(|session| session.data(now).into());
    Ok(Answer::Value(data))
}
