//! gRPC-Web, which pages in browsers speak, beside gRPC on one listener.

use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{
    Layer as _,
    util::{Either, option_layer},
};
use userbridge_gateway::cors::Cors;

/// Services that are called in gRPC and in gRPC-Web.
pub type WithWeb<S> = Either<tower_http::cors::Cors<GrpcWebService<S>>, GrpcWebService<S>>;

/// Lets services be called in gRPC-Web as well, from pages of the origins that are allowed. A call in gRPC passes through as it
/// is.
#[must_use]
pub fn with_web<S>(services: S, cors: &Cors) -> WithWeb<S> {
    option_layer(cors.layer()).layer(GrpcWebLayer::new().layer(services))
}
