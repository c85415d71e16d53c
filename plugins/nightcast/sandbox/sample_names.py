"""Vocabulary of the sample warehouse: every name is invented, only cities and states are real."""

from __future__ import annotations

# Category id, group, name, description, share of all events, usual price in dollars,
# days over which interest rises towards the event, kinds of venue.
CATEGORIES = (
    (1, "Sports", "MLB", "Baseball, first league", 0.060, 62, 6.0, ("stadium",)),
    (2, "Sports", "NHL", "Ice hockey, first league", 0.050, 88, 6.0, ("arena",)),
    (3, "Sports", "NFL", "American football, first league", 0.020, 190, 9.0, ("stadium",)),
    (4, "Sports", "NBA", "Basketball, first league", 0.050, 105, 6.0, ("arena",)),
    (5, "Sports", "MLS", "Soccer, first league", 0.025, 48, 5.0, ("stadium",)),
    (6, "Shows", "Musicals", "Stage plays with song and dance", 0.125, 135, 14.0, ("theatre",)),
    (7, "Shows", "Plays", "Stage plays without music", 0.175, 82, 12.0, ("theatre", "club")),
    (8, "Shows", "Opera", "Grand and light opera", 0.050, 150, 18.0, ("hall", "theatre")),
    (9, "Concerts", "Pop", "Rock and pop bands and singers", 0.340, 96, 9.0, ("arena", "park", "club")),
    (10, "Concerts", "Jazz", "Jazz bands and singers", 0.050, 58, 7.0, ("club", "hall")),
    (11, "Concerts", "Classical", "Orchestras, soloists and choirs", 0.055, 74, 15.0, ("hall",)),
)

# Share of a category's events by month, January first; 0 is the closed season.
SEASONS = {
    "MLB": (0, 0, 0.3, 1, 1, 1, 1, 1, 1, 0.4, 0, 0),
    "NHL": (1, 1, 1, 0.9, 0.4, 0.1, 0, 0, 0.2, 1, 1, 1),
    "NFL": (0.7, 0.1, 0, 0, 0, 0, 0, 0.4, 1, 1, 1, 1),
    "NBA": (1, 1, 1, 0.9, 0.5, 0.2, 0, 0, 0, 0.4, 1, 1),
    "MLS": (0, 0, 0.6, 1, 1, 1, 1, 1, 1, 0.8, 0.3, 0),
    "Musicals": (0.9, 0.9, 1, 1, 1, 1, 1, 1, 0.9, 1, 1.1, 1.3),
    "Plays": (1, 1, 1, 1, 1, 0.9, 0.8, 0.8, 1, 1.1, 1.1, 1.1),
    "Opera": (1.2, 1.2, 1.2, 1.1, 0.9, 0.5, 0.3, 0.3, 0.9, 1.2, 1.2, 1.1),
    "Pop": (0.7, 0.8, 0.9, 1, 1.1, 1.3, 1.4, 1.3, 1.1, 1, 0.9, 0.9),
    "Jazz": (0.9, 0.9, 1, 1, 1.1, 1.2, 1.2, 1.1, 1, 1, 0.9, 0.9),
    "Classical": (1, 1, 1.1, 1.1, 1, 0.7, 0.5, 0.5, 1, 1.1, 1.1, 1.5),
}

# Kind of venue: how many of the 202, name endings, seats from, to.
VENUE_KINDS = (
    ("stadium", 34, ("Stadium", "Field", "Ballpark"), 24_000, 76_000),
    ("arena", 44, ("Arena", "Coliseum", "Center"), 9_000, 21_000),
    ("park", 22, ("Amphitheatre", "Pavilion", "Bandstand"), 4_000, 18_000),
    ("theatre", 58, ("Theatre", "Playhouse", "Stage"), 400, 2_900),
    ("hall", 22, ("Concert Hall", "Opera House", "Music Hall"), 1_200, 3_600),
    ("club", 22, ("Club", "Lounge", "Room"), 300, 1_500),
)

# City, state, size of its market against the middle (log scale).
CITIES = (
    ("New York City", "NY", 0.55), ("Los Angeles", "CA", 0.45), ("Chicago", "IL", 0.35),
    ("Houston", "TX", 0.15), ("Phoenix", "AZ", 0.0), ("Philadelphia", "PA", 0.2),
    ("San Antonio", "TX", -0.15), ("San Diego", "CA", 0.05), ("Dallas", "TX", 0.15),
    ("San Francisco", "CA", 0.3), ("Austin", "TX", 0.1), ("Columbus", "OH", -0.2),
    ("Charlotte", "NC", -0.1), ("Indianapolis", "IN", -0.2), ("Seattle", "WA", 0.2),
    ("Denver", "CO", 0.1), ("Washington", "DC", 0.3), ("Boston", "MA", 0.35),
    ("Nashville", "TN", 0.15), ("Detroit", "MI", -0.1), ("Portland", "OR", 0.0),
    ("Las Vegas", "NV", 0.4), ("Memphis", "TN", -0.3), ("Louisville", "KY", -0.35),
    ("Baltimore", "MD", -0.1), ("Milwaukee", "WI", -0.25), ("Albuquerque", "NM", -0.4),
    ("Sacramento", "CA", -0.2), ("Kansas City", "MO", -0.2), ("Atlanta", "GA", 0.25),
    ("Miami", "FL", 0.25), ("Oakland", "CA", 0.0), ("Minneapolis", "MN", 0.1),
    ("Tulsa", "OK", -0.45), ("Tampa", "FL", 0.0), ("New Orleans", "LA", 0.05),
    ("Cleveland", "OH", -0.15), ("Anaheim", "CA", 0.05), ("Buffalo", "NY", -0.35),
    ("Pittsburgh", "PA", -0.1), ("Cincinnati", "OH", -0.25), ("Salt Lake City", "UT", -0.15),
)  # fmt: skip

VENUE_WORDS = (
    "Alder", "Amber", "Anchor", "Ashgrove", "Beacon", "Birchwood", "Bluewater", "Bridgegate", "Cannery",
    "Cedarline", "Clearview", "Copperfield", "Cornerstone", "Crossway", "Dovetail", "Driftwood", "Eastlight",
    "Elmstead", "Fairmile", "Ferryside", "Foxhollow", "Gaslamp", "Glassworks", "Goldleaf", "Granary",
    "Greenbank", "Harborlight", "Hazelmere", "Highgate", "Hillcrest", "Ironside", "Juniper", "Keystone",
    "Lakefront", "Lanternhill", "Larkspur", "Limestone", "Longacre", "Magnolia", "Maplewood", "Meridian",
    "Millrace", "Moonrise", "Northgate", "Oakline", "Old Foundry", "Orchard", "Parkside", "Pinecrest",
    "Quarry", "Railyard", "Redbrick", "Ridgeline", "Riverbend", "Rosemont", "Saltmarsh", "Silverton",
    "Southbank", "Starling", "Stonebridge", "Summit", "Sycamore", "Tidewater", "Treetop", "Union Yard",
    "Valley", "Wayside", "Westfall", "Wharfside", "Whitewater", "Willow", "Windmill",
)  # fmt: skip

ADJECTIVES = (
    "Borrowed", "Broken", "Burning", "Crooked", "Distant", "Electric", "Empty", "Fallen", "Golden", "Hollow",
    "Hungry", "Idle", "Lonely", "Lucky", "Midnight", "Neon", "Paper", "Quiet", "Restless", "Rusty",
    "Second", "Silent", "Stolen", "Sunday", "Tangled", "Velvet", "Wandering", "Wild", "Winter", "Yellow",
)  # fmt: skip
NOUNS = (
    "Antelopes", "Arrows", "Balconies", "Bicycles", "Compasses", "Corridors", "Engines", "Fences", "Fountains",
    "Gardens", "Horizons", "Islands", "Kites", "Ladders", "Lanterns", "Letters", "Mirrors", "Orphans",
    "Parades", "Passengers", "Pilots", "Pioneers", "Postcards", "Rivers", "Sailors", "Satellites", "Shadows",
    "Staircases", "Strangers", "Telegrams", "Thunderbirds", "Umbrellas", "Visitors", "Windows",
)  # fmt: skip
FIRST_NAMES = (
    "Ada", "Amos", "Bea", "Cal", "Clio", "Dario", "Della", "Edda", "Ezra", "Fay", "Gus", "Hattie", "Iris",
    "Jonah", "June", "Kit", "Lena", "Levi", "Mabel", "Milo", "Nell", "Otis", "Pia", "Quinn", "Rosa", "Silas",
    "Tess", "Uma", "Viola", "Wes",
)  # fmt: skip
LAST_NAMES = (
    "Abernathy", "Bellamy", "Calloway", "Dunmore", "Everhart", "Fairweather", "Galloway", "Hathersage",
    "Ingleby", "Jessamy", "Kettering", "Lockridge", "Merriweather", "Northcott", "Oakenshaw", "Pemberley",
    "Quillfeather", "Ravenscroft", "Somerville", "Thistlewood", "Underhill", "Vantongeren", "Wetherby",
    "Yarborough",
)  # fmt: skip
TITLE_OPENINGS = (
    "The Baker", "The Cartographer", "The Clockmaker", "The Duchess", "The Ferryman", "The Gardener",
    "The Governess", "The Lighthouse", "The Magistrate", "The Miller", "The Orphan", "The Pearl",
    "The Saint", "The Stranger", "The Tailor", "The Widow",
)  # fmt: skip
TITLE_ENDINGS = (
    "and the Sea", "at Midnight", "in Exile", "in the Orchard", "of Ashford", "of Lisbon", "of the Marshes",
    "on Trial", "Returns", "without a Name",
)  # fmt: skip
ENSEMBLES = ("Philharmonic", "Symphony", "Chamber Players", "String Quartet", "Choral Society")
JAZZ_BANDS = ("Trio", "Quartet", "Quintet", "Big Band", "Orchestra")
TEAM_WORDS = (
    "Badgers", "Bisons", "Blazers", "Cardinals of Dale", "Comets", "Condors", "Foxes", "Gulls", "Harriers",
    "Herons", "Lynxes", "Mustangs", "Navigators", "Owls", "Pioneers", "Rams of Weir", "Rangers of Holt",
    "Rapids", "Sharks", "Stallions", "Storm", "Titans", "Wolves", "Wranglers",
)  # fmt: skip
