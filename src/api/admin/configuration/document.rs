//! What the document says of the operations that every kind has.

use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem, Paths,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{
    AllOfBuilder, ArrayBuilder, ObjectBuilder, OneOfBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Content, KnownFormat, Ref, RefOr, Required, ResponseBuilder, Schema};
use utoipa::{IntoParams as _, ToSchema};
use utoipa_actix_web::OpenApiFactory;

use super::item::{name, names};
use super::{History, Kind, Restore};
use crate::api::frame::{OptionalKey, Paging};

type Named = (String, RefOr<Schema>);

/// One operation of a kind.
pub struct Document {
    path: String,
    method: HttpMethod,
    operation: Operation,
    schemas: Vec<Named>,
}

impl OpenApiFactory for Document {
    fn paths(&self) -> Paths {
        let item = PathItem::new(self.method.clone(), self.operation.clone());
        Paths::builder().path(&self.path, item).build()
    }

    fn schemas(&self, schemas: &mut Vec<Named>) {
        schemas.extend(self.schemas.iter().cloned());
    }
}

impl Document {
    pub fn list<K: Kind>(list: &str) -> Document {
        let path = K::ITEM.rsplit_once('/').map_or(K::ITEM, |(path, _)| path);
        let mut document = Document::of::<K>("list", HttpMethod::Get, path, &format!("Every {}, by id.", bare::<K>()));
        let entries = ArrayBuilder::new().items(document.versioned::<K, K::Listed>());
        document.parameters(names::<K>().filter(|above| *above != name::<K>()).map(in_path));
        let cursor = text().description(Some("Absent on the last page."));
        let page = ObjectBuilder::new().property(list, entries).required(list).property("nextCursor", cursor);
        document.parameters(Paging::into_params(|| None));
        document.answers(page)
    }

    pub fn show<K: Kind>() -> Document {
        let mut document = Document::of::<K>("show", HttpMethod::Get, K::ITEM, &format!("Shows {}.", K::ONE));
        document.item::<K>();
        let shown = document.versioned::<K, K::Shown>();
        document.refuses("404", "`NOT_CONFIGURED`");
        document.answers(shown)
    }

    pub fn put<K: Kind>() -> Document {
        let about = format!("Puts {}, in force for the very next request. {}", K::ONE, K::PUT);
        let mut document = Document::of::<K>("put", HttpMethod::Put, K::ITEM, &about);
        document.item::<K>();
        document.body::<K::Body>();
        if let Some(list) = K::ALONE {
            document.or_alone::<K::Body>(list);
        }
        document.refuses("422", "`VALIDATION_ERROR`, `IDEMPOTENCY_MISMATCH`; what is in force stays");
        document.written::<K>()
    }

    pub fn withdraw<K: Kind>() -> Document {
        let about = format!("Withdraws {}. Its history stays, and it can be restored.", K::ONE);
        let mut document = Document::of::<K>("withdraw", HttpMethod::Delete, K::ITEM, &about);
        document.item::<K>();
        document.refuses("404", "`NOT_CONFIGURED`");
        document.refuses("409", "`IN_USE`: the detail names who refers to it");
        document.refuses("422", "`IDEMPOTENCY_MISMATCH`");
        document.written::<K>()
    }

    pub fn history<K: Kind>() -> Document {
        let path = format!("{}/history", K::ITEM);
        let about = format!("The revisions of {}, also of one that was withdrawn.", K::ONE);
        let mut document = Document::of::<K>("show_history_of", HttpMethod::Get, &path, &about);
        document.item::<K>();
        document.parameters(Paging::into_params(|| None));
        let history = document.schema::<History>();
        document.refuses("404", "`NOT_CONFIGURED`");
        document.refuses("503", "`STORAGE_UNAVAILABLE`");
        document.answers(history)
    }

    pub fn restore<K: Kind>() -> Document {
        let path = format!("{}/restore", K::ITEM);
        let about = format!("Makes what an earlier revision of {} held a new one.", K::ONE);
        let mut document = Document::of::<K>("restore", HttpMethod::Post, &path, &about);
        document.item::<K>();
        document.body::<Restore>();
        document.refuses("404", "`NOT_CONFIGURED`");
        document.refuses("409", "`NO_EARLIER_REVISION`");
        document.refuses("422", "`VALIDATION_ERROR`: it does not fit any more; what is in force stays");
        document.refuses("503", "`STORAGE_UNAVAILABLE`");
        document.written::<K>()
    }

    fn of<K: Kind>(deed: &str, method: HttpMethod, path: &str, about: &str) -> Document {
        let id = format!("{deed}_{}", K::NAME.replace(' ', "_"));
        let operation = OperationBuilder::new().operation_id(Some(id)).summary(Some(about.trim_end()));
        Document { path: path.to_owned(), method, operation: operation.build(), schemas: Vec::new() }
    }

    /// The parameters of the path.
    fn item<K: Kind>(&mut self) {
        self.parameters(names::<K>().map(in_path));
    }

    fn parameters(&mut self, parameters: impl IntoIterator<Item = Parameter>) {
        self.operation.parameters.get_or_insert_default().extend(parameters.into_iter().map(RefOr::T));
    }

    fn body<T: ToSchema>(&mut self) {
        let content = Content::new(Some(self.schema::<T>()));
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        self.operation.request_body = Some(RefOr::T(body.build()));
    }

    /// The body's one list may come without the object around it.
    fn or_alone<T: ToSchema>(&mut self, list: &str) {
        let RefOr::T(Schema::Object(object)) = T::schema() else { return };
        let Some(alone) = object.properties.get(list) else { return };
        let either = OneOfBuilder::new().item(Ref::from_schema_name(T::name())).item(alone.clone());
        let body = RequestBodyBuilder::new().content("application/json", Content::new(Some(either)));
        self.operation.request_body = Some(RefOr::T(body.required(Some(Required::True)).build()));
    }

    fn refuses(&mut self, status: &str, codes: &str) {
        let response = ResponseBuilder::new().description(codes).build();
        self.operation.responses.responses.insert(status.to_owned(), RefOr::T(response));
    }

    fn answers(mut self, schema: impl Into<RefOr<Schema>>) -> Document {
        let content = Content::new(Some(schema));
        let response = ResponseBuilder::new().content("application/json", content).build();
        self.operation.responses.responses.insert("200".to_owned(), RefOr::T(response));
        self
    }

    /// The answer of a write, which may carry a key.
    fn written<K: Kind>(mut self) -> Document {
        self.parameters(OptionalKey::into_params(|| None));
        let idempotent = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Boolean));
        let idempotent = idempotent.description(Some("It was so already, and no revision was made."));
        let id = ObjectBuilder::new().property(name::<K>(), text()).required(name::<K>());
        self.answers(revision::<K>(id).property("idempotent", idempotent).required("idempotent"))
    }

    /// What is shown, with its revision.
    fn versioned<K: Kind, T: ToSchema>(&mut self) -> RefOr<Schema> {
        let content = self.schema::<T>();
        AllOfBuilder::new().item(content).item(revision::<K>(ObjectBuilder::new())).into()
    }

    /// A reference to the schema of a type, which comes into the document with all that it refers to.
    fn schema<T: ToSchema>(&mut self) -> RefOr<Schema> {
        self.schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(&mut self.schemas);
        RefOr::Ref(Ref::from_schema_name(T::name()))
    }
}

fn in_path(name: &str) -> Parameter {
    let place = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
    place.schema(Some(text())).build()
}

/// `a port` without its article.
fn bare<K: Kind>() -> &'static str {
    K::ONE.split_once(' ').map_or(K::ONE, |(_, bare)| bare)
}

/// Adds the fields of a revision.
fn revision<K: Kind>(object: ObjectBuilder) -> ObjectBuilder {
    let number = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer));
    let number = number.description(Some("Counts the writes, from 1. 0: it was written before they were counted."));
    let instant = text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    object.property(K::REVISION, number).required(K::REVISION).property(K::SINCE, instant).required(K::SINCE)
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String))
}
