// Plays the customer and bol through the sandbox's JSON controls, and shows what changes.
"use strict";

const SHOWN = 40;
const POLL_MS = 1200;
const $ = (id) => document.getElementById(id);
const money = new Intl.NumberFormat("nl-NL", { style: "currency", currency: "EUR" });

let state = null;
let basket = [];
// Whether what is chosen in the form is more than what was put into the basket.
let chosenSince = false;
let known = new Set();
let amounts = new Map();
let drawn = {};

const clock = new Intl.DateTimeFormat("nl-NL", { timeStyle: "medium", timeZone: "Europe/Amsterdam" });
const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
const timeOf = (text) => clock.format(new Date(text));

// Text always goes in as text: titles and names come from whoever filled the sandbox.
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") node.addEventListener("click", value);
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

async function send(path, body) {
  const answer = await fetch(path, { method: "POST", body: JSON.stringify(body) });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error || answer.statusText);
  return value;
}

function say(text, good = true) {
  $("message").textContent = text;
  $("message").className = "message " + (good ? "good" : "bad");
}

async function act(work, done) {
  try {
    say(done(await work()));
  } catch (error) {
    say(error.message, false);
  }
  await refresh();
}

function wishFromForm() {
  const wish = { ean: $("offer").value, quantity: Number($("quantity").value) };
  if ($("method").value === "VVB") Object.assign(wish, { method: "FBR", distributionParty: "BOL" });
  else if ($("method").value) wish.method = $("method").value;
  return wish;
}

// With a basket, what was chosen since belongs to the order, too.
function toBuy() {
  return basket.length && !chosenSince ? basket : [...basket, wishFromForm()];
}

function emptyBasket() {
  basket = [];
  chosenSince = false;
  showBasket();
}

function placeOrder(event) {
  event.preventDefault();
  const items = toBuy();
  const order = {
    clientId: $("seller").value, items, pickupPoint: $("pickup").checked,
    country: $("country").value, force: $("force").checked,
  };
  act(
    async () => {
      const placed = await send("/sandbox/orders", order);
      emptyBasket();
      return placed;
    },
    (placed) => `Order ${placed.orderId} is placed.`,
  );
}

function changeAmount(event) {
  event.preventDefault();
  const ean = $("changed").value;
  act(
    () => send("/sandbox/offers/amount", { clientId: $("seller").value, ean, amount: Number($("amount").value) }),
    () => `${titleOf(ean)} has ${$("amount").value} pieces now. The seller's system was not told.`,
  );
}

function showBasket() {
  $("basket").hidden = basket.length === 0;
  const rows = toBuy().map((wish, place) =>
    el("li", {}, `${wish.quantity} × ${titleOf(wish.ean)}${place < basket.length ? "" : " (chosen above)"}`));
  $("basket").replaceChildren(el("b", {}, "Basket"), el("ul", {}, ...rows),
    el("button", { class: "small", type: "button", onclick: emptyBasket }, "Empty the basket"));
}

function titleOf(ean) {
  const offer = state && state.offers.find((one) => one.ean === ean);
  return offer ? offer.title : ean;
}

function itemTag(item) {
  const open = item.quantity - item.quantityShipped - item.quantityCancelled;
  const parts = [];
  if (open && item.cancellationRequest) parts.push(el("span", { class: "tag asked" }, "cancellation asked"));
  if (open) parts.push(el("span", { class: "tag open" }, `${open} open`));
  if (item.quantityShipped) parts.push(el("span", { class: "tag done" }, `${item.quantityShipped} shipped`));
  if (item.quantityCancelled) parts.push(el("span", { class: "tag gone" }, `${item.quantityCancelled} cancelled`));
  return el("span", { class: "state" }, ...parts.flatMap((part) => [part, " "]));
}

function methodOf(fulfilment) {
  const label = fulfilment.method === "FBR" && fulfilment.distributionParty === "BOL";
  return label ? "FBR on bol's label (VVB)" : fulfilment.method;
}

function orderCard(order) {
  const to = order.shipmentDetails;
  const place = `${order.pickupPoint ? to.pickupPointName + ", " : ""}${to.zipCode} ${to.city} (${to.countryCode})`;
  const time = timeOf(order.orderPlacedDateTime);
  const lines = order.orderItems.map((item) =>
    el("div", { class: "line" },
      el("div", { class: "what" }, `${item.quantity} × ${item.product.title}`,
        el("div", { class: "sub" }, `${money.format(item.totalPrice)} · ${methodOf(item.fulfilment)} · item ${item.orderItemId}`)),
      itemTag(item)));
  const ask = () => act(() => send(`/sandbox/orders/${order.orderId}/request-cancellation`, {}),
    () => `The customer asks to cancel ${order.orderId}. The seller decides.`);
  const cancel = () => act(() => send(`/sandbox/orders/${order.orderId}/cancel`, {}),
    () => `bol cancelled what was open of ${order.orderId}.`);
  const actions = order.open
    ? el("div", { class: "actions" },
        el("button", { class: "small", type: "button", onclick: ask }, "Customer asks to cancel"),
        el("button", { class: "small danger", type: "button", onclick: cancel }, "bol cancels"))
    : null;
  return el("article", { class: "card" + (known.has(order.orderId) ? "" : " new") },
    el("h3", {}, order.orderId, el("span", { class: "tag " + (order.open ? "open" : "") }, order.open ? "open" : "handled")),
    el("p", { class: "who" }, `${to.firstName} ${to.surname} · ${place} · ${time}`), ...lines, actions);
}

function shipmentCard(shipment) {
  const transport = shipment.transport;
  const how = [transport.transporterCode, transport.trackAndTrace].filter(Boolean).join(" · ") || "no carrier given";
  const lines = shipment.shipmentItems.map((item) =>
    el("div", { class: "line" }, el("div", { class: "what" }, `${item.quantityShipped} × ${item.product.title}`)));
  const label = state.labels.find((one) => one.shippingLabelId === transport.shippingLabelId);
  if (label) {
    const price = money.format(label.totalPrice);
    lines.push(el("div", { class: "sub" }, `Label ${label.shippingLabelId} · ${label.labelDisplayName} · ${price}`));
  }
  const time = timeOf(shipment.shipmentDateTime);
  const reference = shipment.shipmentReference ? ` · reference ${shipment.shipmentReference}` : "";
  return el("article", { class: "card" + (known.has(shipment.shipmentId) ? "" : " new") },
    el("h3", {}, how), el("p", { class: "who" }, `Order ${shipment.order.orderId} · ${time}${reference}`), ...lines);
}

function subscriptionCard(one) {
  return el("article", { class: "card" },
    el("h3", {}, `Subscription ${one.id}`,
      el("span", { class: "tag " + (one.enabled ? "done" : "gone") }, one.enabled ? "enabled" : "disabled")),
    el("p", { class: "who" }, `${one.resources.join(", ")} · to ${one.url}`));
}

function deliveryLine(one) {
  const look = { waiting: "open", delivered: "done" }[one.state] || "gone";
  const last = one.tries.at(-1);
  const tried = last ? ` · ${count(one.tries.length, "try").replace("trys", "tries")}, the last: ${last.outcome}` : "";
  return el("div", { class: "line" },
    el("div", { class: "what" }, `${one.resource} ${one.type}`,
      el("div", { class: "sub" }, `${timeOf(one.at)} · ${one.resourceId}${tried}`)),
    el("span", { class: "state" },
      ...(one.forged ? [el("span", { class: "tag asked" }, "forged"), " "] : []),
      el("span", { class: "tag " + look }, one.state)));
}

function offerRow(offer) {
  const byBol = offer.method === "FBB";
  const amount = byBol ? "at bol" : String(offer.amount);
  const cell = (name, text, extra = "") => {
    const key = `${offer.offerId} ${name}`;
    const changed = amounts.has(key) && amounts.get(key) !== text;
    amounts.set(key, text);
    return el("td", { class: `${extra} ${changed ? "changed" : ""}` }, text);
  };
  return el("tr", {},
    el("td", {}, offer.title,
      el("div", { class: "sub" }, [offer.ean, offer.reference, byBol ? "FBB" : null].filter(Boolean).join(" · "),
        el("span", { class: "narrow" }, ` · ${money.format(offer.price)}`))),
    el("td", {}, money.format(offer.price)),
    cell("amount", amount),
    cell("sale", String(offer.correctedStock), offer.correctedStock ? "" : "none"),
    cell("open", String(offer.openQuantity)));
}

// Only what changed is drawn again, so that a click never falls between two drawings.
function draw(id, rows, make, empty) {
  const now = JSON.stringify(rows);
  if (drawn[id] === now) return;
  drawn[id] = now;
  $(id).replaceChildren(...(rows.length ? rows.map(make) : [empty]));
}

function drawChoices(id, rows, value, text) {
  const now = JSON.stringify(rows.map((row) => [value(row), text(row)]));
  if (drawn[id] === now) return;
  drawn[id] = now;
  const chosen = $(id).value;
  $(id).replaceChildren(...rows.map((row) => el("option", { value: value(row) }, text(row))));
  if (rows.some((row) => value(row) === chosen)) $(id).value = chosen;
}

async function refresh() {
  try {
    const all = await (await fetch("/sandbox/state?latest=0")).json();
    drawChoices("seller", all.sellers, (one) => one.clientId, (one) => `${one.name} (${one.clientId})`);
    const clientId = $("seller").value;
    if (!clientId) {
      $("counts").textContent = "There is no seller yet: start with --seed-demo, or POST /sandbox/sellers.";
    } else {
      state = await (await fetch(`/sandbox/state?latest=${SHOWN}&clientId=${encodeURIComponent(clientId)}`)).json();
      show();
    }
    $("connection").textContent = "Live · " + timeOf(all.now);
    $("connection").className = "connection";
  } catch {
    $("connection").textContent = "The sandbox does not answer";
    $("connection").className = "connection lost";
  }
}

function show() {
  const seller = state.sellers[0];
  $("counts").textContent = [
    `${seller.openOrderCount} open of ${count(seller.orderCount, "order")}`,
    count(seller.offerCount, "offer"), count(seller.shipmentCount, "shipment"),
    ...(seller.labelCount ? [`${count(seller.labelCount, "label")} for ${money.format(seller.labelCost)}`] : []),
  ].join(" · ");
  drawChoices("offer", state.offers, (one) => one.ean,
    (one) => `${one.title} – ${money.format(one.price)} – ${one.correctedStock} for sale${one.method === "FBB" ? " (FBB)" : ""}`);
  drawChoices("changed", state.offers, (one) => one.ean, (one) => one.title);
  const orders = [...state.orders].reverse();
  const shipments = [...state.shipments].reverse();
  draw("orders", orders, orderCard, el("p", { class: "empty" }, "No orders yet. Place one on this page."));
  draw("offers", state.offers, offerRow, el("tr", {}, el("td", { colspan: 5 }, "No offers.")));
  draw("shipments", shipments, shipmentCard,
    el("p", { class: "empty" }, "Nothing shipped yet. Shipments appear when the seller confirms them."));
  draw("subscriptions", state.subscriptions, subscriptionCard,
    el("p", { class: "empty" }, "The seller's system has not asked to be told. It can, with POST /retailer/subscriptions."));
  draw("deliveries", [...state.deliveries].reverse(), deliveryLine, "");
  known = new Set([...orders.map((one) => one.orderId), ...shipments.map((one) => one.shipmentId)]);
}

$("buy").addEventListener("submit", placeOrder);
$("change").addEventListener("submit", changeAmount);
$("add").addEventListener("click", () => {
  if ($("buy").reportValidity()) {
    basket.push(wishFromForm());
    chosenSince = false;
    showBasket();
  }
});
for (const id of ["offer", "quantity", "method"]) {
  $(id).addEventListener("input", () => {
    chosenSince = true;
    showBasket();
  });
}
$("seller").addEventListener("change", () => {
  emptyBasket();
  say("");
  amounts = new Map();
  refresh();
});
refresh();
setInterval(refresh, POLL_MS);
