//! Tasks and sessions.

use super::{Record, View};
use crate::lab::xenserver::import;
use crate::lab::xenserver::refs::{Class, Obj};
use crate::lab::xenserver::schema;
use crate::lab::xenserver::tasks::{Task, Verdict};
use crate::lab::xenserver::value::Value;

impl View<'_> {
    pub(super) fn task(&self, number: u32) -> Option<Record> {
        let task: &Task = self.tables.tasks.get(&number).filter(|task| task.listed)?;
        let mut record = Record::new(Class::Task);
        record
            .set("uuid", self.codec.uuid(&Obj::Task(number)).to_string())
            .set("name_label", task.label.clone())
            .set("name_description", task.description.clone())
            .set("created", Value::Time(task.created))
            .set("finished", Value::Time(task.finished.unwrap_or_default()))
            .set("resident_on", self.reference(&Obj::Host(self.standing.master())))
            .set("type", "<none/>")
            .set("backtrace", "()");
        match &task.verdict {
            Verdict::Pending => {
                record.set("status", "pending").set("progress", Value::Float(0.0));
                record.set("allowed_operations", Value::List(vec!["cancel".into()]));
            }
            Verdict::Success(result) => {
                record.set("status", "success").set("progress", Value::Float(1.0)).set("result", result.clone());
            }
            Verdict::Failure(failure) => {
                record.set("status", "failure").set("progress", Value::Float(1.0));
                record.set("error_info", failure.list().into_iter().collect::<Value>());
            }
            Verdict::Cancelled(failure) => {
                record.set("status", "cancelled").set("progress", Value::Float(1.0));
                record.set("error_info", failure.list().into_iter().collect::<Value>());
            }
        }
        Some(record)
    }

    pub(super) fn session(&self, number: u32) -> Option<Record> {
        let session = self.sessions.get(number)?;
        let mut record = Record::new(Class::Session);
        record
            .set("uuid", self.codec.uuid(&Obj::Session(number)).to_string())
            .set("this_host", self.reference(&Obj::Host(self.standing.master())))
            .set("last_active", Value::Time(session.active_at))
            .set("validation_time", Value::Time(session.login_at))
            .set("is_local_superuser", session.root)
            .set("auth_user_name", session.user.clone())
            .set("originator", session.originator.clone());
        if !session.root {
            record.set("rbac_permissions", self.permissions());
        }
        Some(record)
    }

    /// Every right but those a fault rule takes away, by the name the server knows it: the message in lower case, or
    /// `http/` and the name of a handler.
    fn permissions(&self) -> Value {
        let granted = |right: &&str| !self.rules.denies(right, &[]);
        let messages = schema::messages().iter().map(String::as_str);
        messages.chain([import::RIGHT]).filter(granted).map(str::to_ascii_lowercase).collect()
    }
}
