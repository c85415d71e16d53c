"""What the name of a column says of its values: an id, a code, a group, a quantity, a part of the calendar.

Only columns of whole numbers are asked for their names: there the values alone can not tell a code from a quantity.
"""

from __future__ import annotations

import re


def _set_of(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")
_ID_WORDS = _set_of("id ids uid uuid guid pk fk key rowid recordid")
_CODE_WORDS = _set_of(
    "code codes sku skus upc ean gtin isbn asin plu zip zipcode postcode postalcode postal plz phone telephone tel "
    "fax mobile barcode serial ssn iban bic account acct hash"
)
# With digits behind they rather number a column, or are a gas: num1, NO2.
_NUMBER_WORDS = _set_of("no nr nbr num number ref")
# "venueid", and not "pricepaid" or "centroid".
_ID_ENDING = re.compile(
    r"(?<!pa)(?<!val)(?<!gr)(?<!vo)(?<!\bb)(?<!sol)(?<!flu)(?<!hum)(?<!rap)(?<!liqu)(?<!ac)(?<!cov)(?<!\bk)(?<!\ba)"
    r"(?<!hybr)(?<!\bm)(?<!\bl)(?<!sa)(?<!la)(?<!ro)(?<!zo)(?<!so)(?<!lo)(?<!no)(?<!ho)id$"
)
_CODE_ENDING = re.compile(r"(?<!de)(?<!en)code$|sku$")
_GROUP_WORDS = _set_of(
    "class classes type category cat group status state store shop branch outlet dept department region zone "
    "district channel segment cluster brand kind gender sex color colour flag mode warehouse subclass subcategory"
)
_QUANTITY_WORDS = _set_of(
    "price amount cost revenue sales sold qty quantity count counts total sum avg mean average size area weight "
    "volume population income salary value units unit items length width height distance duration age score rating "
    "scores points balance tax discount profit margin budget seats capacity visits orders sessions clicks lines year "
    "week day days hour minute second seconds time timestamp epoch date index step period"
)
_CALENDAR = re.compile(r"(weekday|day_?of_?week|dow|month|month_?of_?year|quarter|qtr)$")


def words_of(name: str) -> tuple[str, ...]:
    """Words of a column's name, in lower case.

    Examples
    --------
    >>> words_of("storeNbr"), words_of("Zip_Code2"), words_of("HTTPStatus")
    (('store', 'nbr'), ('zip', 'code', '2'), ('http', 'status'))
    """
    return tuple(word.lower() for word in _WORD.findall(name))


def _last_word(name: str) -> str:
    """The last word of a name that is no digits; empty where there is none."""
    return next((word for word in reversed(words_of(name)) if not word.isdecimal()), "")


def says_id(name: str) -> bool:
    """Whether a name calls its values an id: its last word, but for digits, does.

    Examples
    --------
    >>> [says_id(name) for name in ("order_id", "venueid", "userKey", "id_2", "pricepaid", "centroid", "id_count")]
    [True, True, True, True, False, False, False]
    """
    last = _last_word(name)
    return last in _ID_WORDS or _ID_ENDING.search(last) is not None


def says_code(name: str) -> bool:
    """Whether a name calls its values an id, or a code: its last word, but for digits, does.

    The word before it says of what something is counted or measured: sku_count, zip_distance.

    Examples
    --------
    >>> [says_code(name) for name in ("zip", "productcode", "order_no", "Zip_Code2", "num1", "sku_count")]
    [True, True, True, True, False, False]
    """
    last = _last_word(name)
    coded = last in _CODE_WORDS or _CODE_ENDING.search(last) is not None
    return says_id(name) or coded or not _NUMBER_WORDS.isdisjoint(words_of(name)[-1:])


def says_group(name: str) -> bool:
    """Whether a name calls its values a group that records belong to: its last word is one such as class or store.

    Examples
    --------
    >>> [says_group(name) for name in ("passenger_class", "store", "storeType", "stores", "class_size")]
    [True, True, True, False, False]
    """
    words = words_of(name)
    return bool(words) and words[-1] in _GROUP_WORDS


def says_quantity(name: str) -> bool:
    """Whether a word of a name is that of a quantity or of a point in time.

    Examples
    --------
    >>> [says_quantity(name) for name in ("unit_price", "week", "customer")]
    [True, True, False]
    """
    return any(word in _QUANTITY_WORDS for word in words_of(name))


def says_calendar(name: str) -> bool:
    """Whether a name says a part of the calendar that repeats: a weekday, a month or a quarter.

    Examples
    --------
    >>> [says_calendar(name) for name in ("month", "dayOfWeek", "sales_qtr", "year", "months")]
    [True, True, True, False, False]
    """
    return _CALENDAR.search(name.lower()) is not None
