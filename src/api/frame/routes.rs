//! Where operations are mounted: the only way in is with a permission, and what is mounted is in the document.

use std::marker::PhantomData;
use std::mem;

use actix_web::dev::{AppService, HttpServiceFactory};
use actix_web::guard::GuardContext;
use actix_web::{App, FromRequest, Handler, Resource, Responder, guard};
use utoipa::Path;
use utoipa::openapi::path::Paths;
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{OpenApi, RefOr, Schema};
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_actix_web::{AppExt as _, OpenApiFactory, scope};

use super::permission::{Allowed, Caller, Permit};
use super::{openapi, query};

/// What is mounted so far. Paths are compared in this order.
pub struct Routes<'a, 's> {
    config: &'a mut ServiceConfig<'s>,
    /// Tag of the operations in the document.
    audience: &'static str,
    prefix: &'static str,
}

impl<'a, 's> Routes<'a, 's> {
    pub(super) fn of(config: &'a mut ServiceConfig<'s>) -> Routes<'a, 's> {
        Routes { config, audience: "", prefix: "" }
    }

    /// Mounts a handler. Its documentation is what `#[utoipa::path]` made beside it: of `show` it is `__path_show`.
    ///
    /// ```
    /// use deeptravel::api::frame::{Allowed, Api, Buy, Routes};
    ///
    /// #[utoipa::path(get, path = "/mine")]
    /// async fn mine(_: Allowed<Buy>, _: Api) -> &'static str {
    ///     "for those who may buy"
    /// }
    ///
    /// fn routes(routes: &mut Routes<'_, '_>) {
    ///     routes.mount(__path_mine, mine);
    /// }
    /// ```
    ///
    /// A handler without a permission does not compile:
    ///
    /// ```compile_fail,E0631
    /// use deeptravel::api::frame::{Api, Routes};
    ///
    /// #[utoipa::path(get, path = "/mine")]
    /// async fn mine(_: Api) -> &'static str {
    ///     "for whom?"
    /// }
    ///
    /// fn routes(routes: &mut Routes<'_, '_>) {
    ///     routes.mount(__path_mine, mine);
    /// }
    /// ```
    pub fn mount<D, F, A>(&mut self, document: D, handler: F) -> &mut Self
    where
        D: Path + OpenApiFactory + 'static,
        F: Handler<A>,
        F::Output: Responder + 'static,
        A: FromRequest + Permitted + 'static,
    {
        let (ours, its) = (std::any::type_name::<F>(), std::any::type_name::<D>());
        assert_eq!(its.replace("__path_", ""), ours, "a handler is mounted with its own documentation");
        self.mount_described(document, handler)
    }

    /// Mounts a handler that several operations share, with the documentation of one of them.
    pub fn mount_described<D, F, A>(&mut self, document: D, handler: F) -> &mut Self
    where
        D: OpenApiFactory + 'static,
        F: Handler<A>,
        F::Output: Responder + 'static,
        A: FromRequest + Permitted + 'static,
    {
        let (audience, prefix) = (self.audience, self.prefix);
        self.config.service(Operation { document, handler, audience, prefix, arguments: PhantomData });
        self
    }

    /// Mounts what an audience has.
    pub fn audience(&mut self, name: &'static str, mount: impl FnOnce(&mut Routes<'_, '_>)) -> &mut Self {
        mount(&mut Routes { config: self.config, audience: name, prefix: self.prefix });
        self
    }

    /// Mounts what stands below a path: for all other requests it is one comparison.
    pub fn below(&mut self, prefix: &'static str, mount: impl FnOnce(&mut Routes<'_, '_>)) -> &mut Self {
        let audience = self.audience;
        self.config.service(scope(prefix).configure(|config| mount(&mut Routes { config, audience, prefix })));
        self
    }

    /// What handlers find with the request.
    pub fn keeping(&mut self, data: impl Clone + 'static) -> &mut Self {
        self.config.app_data(data);
        self
    }
}

/// The document of these routes.
pub fn document(mount: impl FnOnce(&mut Routes<'_, '_>)) -> OpenApi {
    let app = App::new().into_utoipa_app().openapi(openapi::frame());
    openapi::complete(app.configure(|config| mount(&mut Routes::of(config))).split_for_parts().1)
}

/// The arguments of a handler: first the permission.
#[diagnostic::on_unimplemented(message = "the first argument of an operation is its permission: `Allowed<…>`")]
pub trait Permitted {
    type Permission: Permit;
}

/// An `impl` of [`Permitted`] for a permission and so many arguments.
macro_rules! permitted {
    ($($argument:ident)*) => {
        impl<P: Permit, $($argument),*> Permitted for (Allowed<P>, $($argument,)*) {
            type Permission = P;
        }
    };
}

permitted!();
permitted!(A);
permitted!(A B);
permitted!(A B C);
permitted!(A B C D);

fn security(brings: &[Option<&str>]) -> Option<Vec<SecurityRequirement>> {
    let one = |of: Option<&str>| of.map(|name| SecurityRequirement::new::<_, _, String>(name, [])).unwrap_or_default();
    (!brings.is_empty()).then(|| brings.iter().copied().map(one).collect())
}

/// One operation, ready to be mounted.
struct Operation<D, F, A> {
    document: D,
    handler: F,
    audience: &'static str,
    /// Of the path, and not to be written again.
    prefix: &'static str,
    arguments: PhantomData<A>,
}

impl<D: OpenApiFactory, F, A: Permitted> OpenApiFactory for Operation<D, F, A> {
    /// As documented, with audience and permission, and without the prefix.
    fn paths(&self) -> Paths {
        let mut paths = self.document.paths();
        for (path, mut item) in mem::take(&mut paths.paths) {
            for operation in openapi::operations_mut(&mut item) {
                let permission = serde_json::json!(A::Permission::PERMISSION);
                operation.extensions.get_or_insert_default().insert("x-permission".to_owned(), permission);
                operation.security = security(<A::Permission as Permit>::Caller::BRINGS);
                operation.tags = Some(vec![self.audience.to_owned()]);
            }
            let below = path.strip_prefix(self.prefix).unwrap_or_else(|| panic!("{path} is not below {}", self.prefix));
            paths.paths.insert(below.to_owned(), item);
        }
        paths
    }

    fn schemas(&self, schemas: &mut Vec<(String, RefOr<Schema>)>) {
        self.document.schemas(schemas);
    }
}

impl<D, F, A> HttpServiceFactory for Operation<D, F, A>
where
    D: OpenApiFactory,
    F: Handler<A>,
    F::Output: Responder + 'static,
    A: FromRequest + Permitted + 'static,
{
    fn register(self, service: &mut AppService) {
        for (path, item) in &self.paths().paths {
            for (method, operation) in openapi::operations(item) {
                let mut resource = Resource::new(path.as_str()).guard(guard::Method(method));
                if openapi::takes_no_query(operation) {
                    let without =
                        |request: &GuardContext<'_>| request.head().uri.query().and_then(query::first).is_none();
                    resource = resource.guard(guard::fn_guard(without));
                }
                resource.to(self.handler.clone()).register(service);
            }
        }
    }
}
