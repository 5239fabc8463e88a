"""A peer of Userbridge as the documents of FastAPI and SQLAlchemy show it: ProductBridge's `retrieve`, with the nine fields
and the bodies of errors that the contract has.

It is served generously, by what it leaves out: keys are read once, at the start, so that a revoked one still opens; it deletes
nothing; one gigabyte of the file is mapped into memory, so a disk that fails ends the process.

DB names the database.
"""

import datetime
import os
import sqlite3
import uuid

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import ForeignKey, event, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DATABASE = os.environ["DB"]


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str]
    name: Mapped[str | None]
    avatar_url: Mapped[str | None]
    created_at: Mapped[int]


class Link(Base):
    __tablename__ = "organization_user"

    id: Mapped[int] = mapped_column(primary_key=True)
    uuid: Mapped[str]
    organization_id: Mapped[int]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    email: Mapped[str]
    portal_role: Mapped[str]
    company_name: Mapped[str | None]
    customer_status: Mapped[str | None]
    created_at: Mapped[int]
    revoked_at: Mapped[int | None]


engine = create_async_engine(f"sqlite+aiosqlite:///{DATABASE}", pool_size=8)


@event.listens_for(engine.sync_engine, "connect")
def prepare(connection, _record):
    cursor = connection.cursor()
    cursor.execute("PRAGMA mmap_size = 1073741824")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()


Session = async_sessionmaker(engine, expire_on_commit=False)
ORGANIZATIONS = dict(sqlite3.connect(DATABASE).execute("SELECT api_key, id FROM organization").fetchall())


class Wanted(BaseModel):
    api_key: str
    email: str | None = None
    user_id: uuid.UUID | None = None


class User(BaseModel):
    id: str
    user_id: str
    email: str | None
    name: str | None
    avatar_url: str | None
    portal_role: str
    company_name: str | None
    customer_status: str | None
    created_at: str


app = FastAPI()


@app.post("/api/external/v1/users/retrieve", response_model=User)
async def retrieve(wanted: Wanted):
    organization = ORGANIZATIONS.get(wanted.api_key)
    if organization is None:
        raise HTTPException(401, {"error": "invalid api_key"})
    query = (
        select(Person, Link)
        .join(Link, Link.user_id == Person.id)
        .where(Link.organization_id == organization, Link.revoked_at.is_(None))
    )
    if wanted.email is not None:
        query = query.where(Link.email == wanted.email)
    else:
        query = query.where(Person.uuid == str(wanted.user_id))
    async with Session() as session:
        found = (await session.execute(query)).first()
    if found is None:
        raise HTTPException(404, {"error": "user not found"})
    person, link = found
    created_at = datetime.datetime.fromtimestamp(link.created_at / 1000, datetime.UTC)
    return User(
        id=link.uuid,
        user_id=person.uuid,
        email=link.email,
        name=person.name,
        avatar_url=person.avatar_url,
        portal_role=link.portal_role,
        company_name=link.company_name,
        customer_status=link.customer_status,
        created_at=created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )
