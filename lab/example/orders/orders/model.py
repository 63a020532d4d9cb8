"""What an order is: pure functions, no I/O."""

from typing import Any

FIELDS = ("customer", "item", "quantity")
MAX_TEXT = 120
MAX_QUANTITY = 10_000


def validate(body: Any) -> tuple[dict[str, Any], list[str]]:
    """Checks the body of `POST /orders`; returns the clean order and every fault found."""
    if not isinstance(body, dict):
        return {}, ["the body must be a JSON object with customer, item and quantity"]
    faults = [f"{key}: unknown field" for key in sorted(set(body) - set(FIELDS))]
    order: dict[str, Any] = {}
    for key in ("customer", "item"):
        value = body.get(key)
        if not isinstance(value, str) or not value.strip() or len(value.strip()) > MAX_TEXT:
            faults.append(f"{key}: must be a text of 1 to {MAX_TEXT} characters")
        else:
            order[key] = value.strip()
    quantity = body.get("quantity")
    # bool is a subclass of int, and true is not a quantity
    if isinstance(quantity, bool) or not isinstance(quantity, int) or not 1 <= quantity <= MAX_QUANTITY:
        faults.append(f"quantity: must be a whole number from 1 to {MAX_QUANTITY}")
    else:
        order["quantity"] = quantity
    return order, faults
