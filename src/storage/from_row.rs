//! Rows of either engine as structs.

/// Says that all fields of a struct are columns of the same names. sqlx derives it only with its macros (`storage::migrations`).
macro_rules! from_row {
    ($row:ty => $type:ident { $($column:ident),+ $(,)? }) => {
        impl sqlx::FromRow<'_, $row> for $type {
            fn from_row(row: &$row) -> Result<Self, sqlx::Error> {
                use sqlx::Row as _;
                Ok(Self { $($column: row.try_get(stringify!($column))?),+ })
            }
        }
    };
}
pub(super) use from_row;
