"""What the generated encyclopaedia knows of: kinds of things, the relations between them, and how each is put in words.

The same phrases write the pages and let the solver read them, so a fact's sentence always ends at a full stop or a
semicolon, and no value holds one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

LITERALS = ("year", "date", "number", "word")


@dataclass(frozen=True)
class Relation:
    """A fact that every thing of kind `of` has one of. `to` is the kind of its value, or one of LITERALS.

    `noun` names the value ("the mayor of {}"), `clause` picks things by it ("whose mayor is {}"), `ask` asks for it,
    `said` are the sentences of a page ({s} the thing, {v} the value). `changes`: older editions tell another value.
    `plural` and `listed`: the page of the value lists, completely, the things that have it.
    """

    name: str
    of: str
    to: str
    noun: str
    clause: str
    ask: tuple[str, ...]
    said: tuple[str, ...]
    changes: bool = False
    unit: str = ""
    plural: str = ""
    listed: tuple[str, ...] = ()

    @property
    def links(self) -> bool:
        """True where the value is another thing."""
        return self.to not in LITERALS


NOUNS = {
    "person": "person",
    "town": "town",
    "firm": "firm",
    "school": "school",
    "bridge": "bridge",
    "work": "book",
    "event": "event",
    "ship": "ship",
    "river": "river",
}
KINDS = tuple(NOUNS)

_PERSON = (
    Relation(
        "profession", "person", "word", "the profession of {}", "who worked as {}",
        ("What was the profession of {}?", "What did {} do for a living?"),
        ("{s} was {v} by profession", "{s} earned a living as {v}", "{s} made a name as {v}"),
    ),
    Relation(
        "born", "person", "date", "the birthday of {}", "who was born {}",
        ("On what date was {} born?", "What is the date of birth of {}?"),
        ("{s} was born on {v}", "{s} came into the world on {v}", "The parish book gives {v} as the birthday of {s}"),
    ),
    Relation(
        "birthplace", "person", "town", "the birthplace of {}", "who hailed from {}",
        ("In which town was {} born?", "Which town is the birthplace of {}?"),
        ("{s} was a native of {v}", "{s} first saw the light in {v}", "The family of {s} lived in {v}, the birthplace"),
    ),
    Relation(
        "school", "person", "school", "the school at which {} studied", "who studied at {}",
        ("At which school did {} study?", "Which school educated {}?"),
        ("{s} studied at {v}", "{s} received a diploma from {v}", "{s} spent four years as a student of {v}"),
    ),
    Relation(
        "teacher", "person", "person", "the teacher of {}", "whose teacher was {}",
        ("Who taught {}?", "Who was the teacher of {}?"),
        ("{s} learned the craft from {v}", "{s} was a pupil of {v}", "The teacher of {s} was {v}"),
    ),
    Relation(
        "employer", "person", "firm", "the firm that {} worked for", "who worked for {}",
        ("Which firm did {} work for?", "Which firm employed {}?"),
        ("{s} worked for {v}", "{s} entered the service of {v}", "{s} found a position with {v}"),
    ),
)  # fmt: skip
_TOWN = (
    Relation(
        "charter", "town", "year", "the founding year of {}", "founded {}",
        ("In which year was {} founded?", "What is the founding year of {}?"),
        ("{s} was founded in {v}", "The foundation of {s} dates from {v}", "{s} goes back to a charter of {v}"),
    ),
    Relation(
        "river", "town", "river", "the river on which {} lies", "on {}",
        ("On which river does {} lie?", "Which river flows through {}?"),
        ("{s} lies on the river {v}", "The river in {s} is the {v}", "{s} grew around a ford of the {v}"),
        plural="towns",
        listed=("The towns on its banks are {v}", "It flows past the towns {v}", "Towns along the river: {v}"),
    ),
    Relation(
        "population", "town", "number", "the population of {}", "with a population of {}",
        ("How many inhabitants does {} have?", "What is the population of {}?"),
        ("{s} has {v} inhabitants", "At the last census {s} had a population of {v}", "{v} people live in {s}"),
        changes=True,
        unit="inhabitants",
    ),
    Relation(
        "mayor", "town", "person", "the mayor of {}", "whose mayor is {}",
        ("Who is the mayor of {}?", "Who presides as mayor over {}?"),
        ("The mayor of {s} is {v}", "{s} is governed by its mayor, {v}", "The office of mayor is held by {v}"),
        changes=True,
    ),
)  # fmt: skip
_FIRM = (
    Relation(
        "established", "firm", "year", "the founding year of {}", "established {}",
        ("In which year was {} established?", "What is the founding year of {}?"),
        ("{s} was established in {v}", "{s} opened for business in {v}", "The register has known {s} since {v}"),
    ),
    Relation(
        "founder", "firm", "person", "the founder of {}", "whose founder was {}",
        ("Who founded {}?", "Who was the founder of {}?"),
        ("{s} was set up by {v}", "The founder of {s} was {v}", "{s} owes its existence to {v}"),
    ),
    Relation(
        "seat", "firm", "town", "the town in which {} has its seat", "with its seat in {}",
        ("In which town does {} have its seat?", "Which town is the seat of {}?"),
        ("{s} has its seat in {v}", "The head office of {s} stands in {v}", "{s} is run from {v}"),
        plural="firms",
        listed=("The firms with their seat here are {v}", "Firms run from the town: {v}", "Its firms are {v}"),
    ),
    Relation(
        "director", "firm", "person", "the director of {}", "whose director is {}",
        ("Who directs {}?", "Who is the director of {}?"),
        ("The director of {s} is {v}", "{s} is directed by {v}", "At the head of {s} stands {v}"),
        changes=True,
    ),
    Relation(
        "staff", "firm", "number", "the number of people whom {} employs", "with a staff of {}",
        ("How many people does {} employ?", "How many people are on the staff of {}?"),
        ("{s} employs {v} people", "{s} has a staff of {v}", "{v} people are on the payroll of {s}"),
        changes=True,
        unit="people",
    ),
)  # fmt: skip
_SCHOOL = (
    Relation(
        "instituted", "school", "year", "the founding year of {}", "instituted {}",
        ("In which year was {} instituted?", "Which year saw the first students of {}?"),
        ("{s} was instituted in {v}", "{s} took its first students in {v}", "Lessons at {s} began in {v}"),
    ),
    Relation(
        "campus", "school", "town", "the town in which {} stands", "that stands in {}",
        ("In which town does {} stand?", "Which town is home to {}?"),
        ("{s} stands in {v}", "The home of {s} is {v}", "{s} occupies an old barracks in {v}"),
        plural="schools",
        listed=("The schools of the town are {v}", "Schools here: {v}", "One can study at {v}"),
    ),
    Relation(
        "rector", "school", "person", "the rector of {}", "whose rector is {}",
        ("Who is the rector of {}?", "Who is in charge, as rector, of {}?"),
        ("The rector of {s} is {v}", "{s} is headed by its rector, {v}", "The rectorate is in the hands of {v}"),
        changes=True,
    ),
    Relation(
        "students", "school", "number", "the number of students of {}", "with {} students",
        ("How many students does {} have?", "How many students are enrolled at {}?"),
        ("{s} has {v} students", "{v} students are enrolled at {s}", "The roll of {s} shows {v} students"),
        changes=True,
        unit="students",
    ),
    Relation(
        "benefactor", "school", "person", "the benefactor of {}", "endowed by {}",
        ("Who endowed {}?", "Who was the benefactor of {}?"),
        ("{s} was endowed by {v}", "The benefactor of {s} was {v}", "{s} was paid for from the estate of {v}"),
    ),
)  # fmt: skip
_BRIDGE = (
    Relation(
        "opened", "bridge", "year", "the opening year of {}", "opened {}",
        ("In which year was {} opened?", "Which year saw the opening of {}?"),
        ("{s} was opened in {v}", "Traffic has crossed {s} since {v}", "The first carts rolled over {s} in {v}"),
    ),
    Relation(
        "span", "bridge", "number", "the length in metres of {}", "with a length of {} metres",
        ("How many metres long is {}?", "What is the length in metres of {}?"),
        ("{s} is {v} metres long", "The length of {s} is {v} metres", "{s} measures {v} metres from end to end"),
        unit="metres",
    ),
    Relation(
        "crossing", "bridge", "town", "the town in which {} stands", "that stands in {}",
        ("Which town does {} belong to?", "Which town is joined by {}?"),
        ("{s} belongs to {v}", "{s} joins the two halves of {v}", "One finds {s} in {v}"),
        plural="bridges",
        listed=("The bridges of the town are {v}", "Bridges here: {v}", "Its halves are joined by {v}"),
    ),
    Relation(
        "engineer", "bridge", "person", "the designer of {}", "designed by {}",
        ("Who designed {}?", "Who was the designer of {}?"),
        ("{s} was designed by {v}", "The plans of {s} were drawn by {v}", "The designer of {s} was {v}"),
    ),
    Relation(
        "contractor", "bridge", "firm", "the firm that built {}", "built by {}",
        ("Which firm built {}?", "Which firm was the contractor for {}?"),
        ("{s} was built by {v}", "The contractor for {s} was {v}", "The works on {s} were carried out by {v}"),
    ),
)  # fmt: skip
_WORK = (
    Relation(
        "published", "work", "year", "the publication year of {}", "published {}",
        ("In which year was {} published?", "Which year saw the publication of {}?"),
        ("{s} was published in {v}", "{s} came out in {v}", "{s} reached the bookshops in {v}"),
    ),
    Relation(
        "author", "work", "person", "the author of {}", "written by {}",
        ("Who wrote {}?", "Who is the author of {}?"),
        ("{s} was written by {v}", "The author of {s} is {v}", "{s} came from the pen of {v}"),
        plural="books",
        listed=("The books from this pen are {v}", "Books: {v}", "The complete list of books by this author is {v}"),
    ),
    Relation(
        "publisher", "work", "firm", "the firm that published {}", "brought out by {}",
        ("Which firm published {}?", "Which firm brought out {}?"),
        ("{s} was brought out by {v}", "The publisher of {s} was {v}", "{s} appeared under the imprint of {v}"),
    ),
    Relation(
        "pages", "work", "number", "the number of pages of {}", "of {} pages",
        ("How many pages does {} have?", "What is the number of pages of {}?"),
        ("{s} has {v} pages", "{s} runs to {v} pages", "The first printing of {s} filled {v} pages"),
        unit="pages",
    ),
    Relation(
        "dedicatee", "work", "person", "the person to whom {} is dedicated", "dedicated to {}",
        ("To whom is {} dedicated?", "Who is the dedicatee of {}?"),
        ("{s} is dedicated to {v}", "{s} opens with a dedication to {v}", "The flyleaf of {s} bears the name of {v}"),
    ),
)  # fmt: skip
_EVENT = (
    Relation(
        "held", "event", "date", "the opening day of {}", "that began {}",
        ("On what date did {} begin?", "What was the opening day of {}?"),
        ("{s} began on {v}", "The gates of {s} opened on {v}", "{s} got under way on {v}"),
    ),
    Relation(
        "venue", "event", "town", "the town in which {} took place", "that took place in {}",
        ("In which town did {} take place?", "Which town was the venue of {}?"),
        ("{s} took place in {v}", "The venue of {s} was {v}", "{s} drew the world to {v}"),
        plural="events",
        listed=("The events that took place here are {v}", "Events of note: {v}", "It was the venue of {v}"),
    ),
    Relation(
        "opener", "event", "person", "the person who opened {}", "opened by {}",
        ("Who opened {}?", "Who gave the opening speech of {}?"),
        ("{s} was opened by {v}", "The opening speech of {s} was given by {v}", "The ribbon of {s} was cut by {v}"),
    ),
    Relation(
        "visitors", "event", "number", "the number of visitors of {}", "with {} visitors",
        ("How many visitors did {} have?", "How many visitors came to {}?"),
        ("{s} had {v} visitors", "{s} was seen by {v} visitors", "The tickets of {s} were sold to {v} visitors"),
        unit="visitors",
    ),
    Relation(
        "sponsor", "event", "firm", "the firm that paid for {}", "paid for by {}",
        ("Which firm paid for {}?", "Which firm was the sponsor of {}?"),
        ("{s} was paid for by {v}", "The sponsor of {s} was {v}", "The costs of {s} were borne by {v}"),
    ),
)  # fmt: skip
_SHIP = (
    Relation(
        "launched", "ship", "date", "the launching day of {}", "launched {}",
        ("On what date was {} launched?", "What was the launching day of {}?"),
        ("{s} was launched on {v}", "{s} left the slipway on {v}", "{s} first touched water on {v}"),
    ),
    Relation(
        "yard", "ship", "firm", "the firm that built {}", "built by {}",
        ("Which firm built {}?", "Which yard built {}?"),
        ("{s} was laid down by {v}", "{s} is a product of {v}", "The builder of {s} was {v}"),
        plural="ships",
        listed=("The ships built by the firm are {v}", "Ships from its yard: {v}", "Its slipways gave the sea {v}"),
    ),
    Relation(
        "captain", "ship", "person", "the captain of {}", "whose captain is {}",
        ("Who is the captain of {}?", "Who commands {}?"),
        ("The captain of {s} is {v}", "{s} is commanded by {v}", "On the bridge of {s} stands {v}"),
        changes=True,
    ),
    Relation(
        "port", "ship", "town", "the home port of {}", "whose home port is {}",
        ("From which town does {} sail?", "Which town is the home port of {}?"),
        ("The home port of {s} is {v}", "{s} sails from {v}", "{s} is registered in {v}"),
    ),
    Relation(
        "tonnage", "ship", "number", "the tonnage of {}", "of {} tons",
        ("What is the tonnage of {}?", "How many tons does {} displace?"),
        ("{s} displaces {v} tons", "The tonnage of {s} is {v} tons", "{s} was measured at {v} tons"),
        unit="tons",
    ),
)  # fmt: skip
_RIVER = (
    Relation(
        "course", "river", "number", "the length in kilometres of {}", "with a length of {} kilometres",
        ("How many kilometres long is {}?", "What is the length in kilometres of {}?"),
        ("{s} is {v} kilometres long", "{s} runs for {v} kilometres", "The course of {s} measures {v} kilometres"),
        unit="kilometres",
    ),
    Relation(
        "surveyor", "river", "person", "the person who charted {}", "charted by {}",
        ("Who charted {}?", "Who drew the first chart of {}?"),
        ("{s} was charted by {v}", "The first chart of {s} is the work of {v}", "{s} was mapped by {v}"),
    ),
)  # fmt: skip

RELATIONS: dict[str, Relation] = {
    relation.name: relation
    for relation in (*_PERSON, *_TOWN, *_FIRM, *_SCHOOL, *_BRIDGE, *_WORK, *_EVENT, *_SHIP, *_RIVER)
}
ALIAS_SAID = ("{s} is also known as {v}", "Many sources write of {s} as {v}", "Older maps and papers say {v} for {s}")


@cache
def relations_of(kind: str) -> tuple[Relation, ...]:
    """The facts that a thing of this kind has."""
    return tuple(relation for relation in RELATIONS.values() if relation.of == kind)


@cache
def lists_of(kind: str) -> tuple[Relation, ...]:
    """The relations whose other ends are listed on pages of this kind."""
    return tuple(relation for relation in RELATIONS.values() if relation.to == kind and relation.plural)
