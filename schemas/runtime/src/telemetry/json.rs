//! One JSON object a line: `timestamp`, `level`, `target`, `message`, then the fields of the spans around an event, from
//! the outermost in, then the event's own.

use std::error::Error;
use std::fmt::Debug;
use std::io::Write;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_log::NormalizeEvent;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Names of ours that no field may take.
const RESERVED: [&str; 3] = ["timestamp", "level", "target"];

/// Writes events as JSON lines.
pub(super) struct JsonLayer<W> {
    output: W,
}

impl<W> JsonLayer<W> {
    pub(super) const fn new(output: W) -> Self {
        Self { output }
    }
}

impl<S, W> Layer<S> for JsonLayer<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().replace(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Fields::default();
        event.record(&mut own);
        let normalized = event.normalized_metadata();
        let mut line = head(normalized.as_ref().unwrap_or_else(|| event.metadata()), own.0.shift_remove("message"));
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<Fields>() {
                line.extend(fields.0.clone());
            }
        }
        line.extend(own.0);
        let mut bytes = Value::Object(line).to_string().into_bytes();
        bytes.push(b'\n');
        // A log that cannot be written can be told nowhere.
        let _ = self.output.make_writer_for(event.metadata()).write_all(&bytes);
    }
}

fn head(metadata: &Metadata<'_>, message: Option<Value>) -> Map<String, Value> {
    Map::from_iter([
        ("timestamp".to_owned(), Value::from(crate::clock::now().to_string())),
        ("level".to_owned(), Value::from(metadata.level().as_str().to_ascii_lowercase())),
        ("target".to_owned(), Value::from(metadata.target())),
        ("message".to_owned(), message.unwrap_or_else(|| Value::from(""))),
    ])
}

/// The fields of one span or event.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn set(&mut self, field: &Field, value: Value) {
        let name = field.name().trim_start_matches("r#");
        if name.starts_with("log.") {
            return; // The log crate's own metadata: the head has it.
        }
        let name = if RESERVED.contains(&name) { format!("{name}_") } else { name.to_owned() };
        self.0.insert(name, value);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.into());
    }

    /// With everything that caused it.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.set(field, text.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, format!("{value:?}").into());
    }
}
