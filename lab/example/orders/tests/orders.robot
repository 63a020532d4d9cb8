*** Settings ***
Documentation     What orders promises, seen through its API and checked in MySQL, Redis and MongoDB.
...               Run with: robot --variable BASE_URL:http://127.0.0.1:8080 tests
Library           OrdersApi.py    ${BASE_URL}
Library           Collections
Suite Setup       Wait Until Ready    ${READY_SECONDS}

*** Variables ***
${BASE_URL}         %{BASE_URL=http://127.0.0.1:8080}
${READY_SECONDS}    120

*** Test Cases ***
The Service Is Live And All Three Services Behind It Answer
    ${live}=    Get    /healthz
    Should Be Equal    ${live}[status]    ok
    ${ready}=    Get    /readyz
    ${expected}=    Create Dictionary    mysql=ok    redis=ok    mongodb=ok
    Dictionaries Should Be Equal    ${ready}[services]    ${expected}

The Version Is Told
    ${version}=    Get    /version
    Should Be Equal    ${version}[service]    orders
    Should Match Regexp    ${version}[version]    ^\\d+\\.\\d+\\.\\d+([-+.][0-9A-Za-z.-]+)?$

A New Order Is A Row In MySQL And Is Counted In Redis
    ${counted}=    Orders Counted In Redis
    ${order}=    Place Order    Ada    lamp    ${2}
    ${row}=    Row Of Order    ${order}[id]
    ${expected}=    Create Dictionary    customer=Ada    item=lamp    quantity=${2}    state=open
    Dictionaries Should Be Equal    ${row}    ${expected}
    ${now}=    Orders Counted In Redis
    Should Be Equal As Integers    ${now}    ${counted + 1}

Text Outside ASCII Survives The Way To MySQL And Back
    ${order}=    Place Order    Zoë Łukasz    café 漢字    ${1}
    ${read}=    Get    /orders/${order}[id]
    Should Be Equal    ${read}[order][customer]    Zoë Łukasz
    ${row}=    Row Of Order    ${order}[id]
    Should Be Equal    ${row}[item]    café 漢字

The First Read Comes From The Database And The Second From The Cache
    ${order}=    Place Order    Grace    chair    ${1}
    ${first}=    Get    /orders/${order}[id]
    Should Be Equal    ${first}[source]    database
    ${second}=    Get    /orders/${order}[id]
    Should Be Equal    ${second}[source]    cache
    Dictionaries Should Be Equal    ${first}[order]    ${second}[order]
    ${lifetime}=    Cache Lifetime Of Order    ${order}[id]
    Should Be True    0 < ${lifetime} <= 60

The Cache Is Really Used And Really Forgets
    ${order}=    Place Order    Alan    desk    ${1}
    Get    /orders/${order}[id]
    Change Quantity Behind The API    ${order}[id]    ${7}
    ${cached}=    Get    /orders/${order}[id]
    Should Be Equal As Integers    ${cached}[order][quantity]    1
    Forget Cached Order    ${order}[id]
    ${fresh}=    Get    /orders/${order}[id]
    Should Be Equal    ${fresh}[source]    database
    Should Be Equal As Integers    ${fresh}[order][quantity]    7

Cancelling Changes The Row And Drops The Cached Copy
    ${order}=    Place Order    Edsger    pen    ${3}
    Get    /orders/${order}[id]
    Post    /orders/${order}[id]/cancel
    ${cached}=    Cached Order    ${order}[id]
    Should Be Equal    ${cached}    ${None}
    ${row}=    Row Of Order    ${order}[id]
    Should Be Equal    ${row}[state]    cancelled
    Post    /orders/${order}[id]/cancel    expected=409

Every Change Of An Order Is A Document In MongoDB
    ${order}=    Place Order    Barbara    stool    ${1}
    Post    /orders/${order}[id]/cancel
    ${documents}=    Event Documents Of Order    ${order}[id]
    ${expected}=    Create List    created    cancelled
    Lists Should Be Equal    ${documents}    ${expected}
    ${told}=    Get    /orders/${order}[id]/events
    Length Should Be    ${told}[events]    2
    Should Be Equal    ${told}[events][0][event]    created
    ${version}=    Get    /version
    Should Be Equal    ${told}[events][0][version]    ${version}[version]

A Malformed Order Is Refused And Leaves Nothing Behind
    ${before}=    Number Of Orders In MySQL
    ${body}=    Create Dictionary    customer=Ada    item=${EMPTY}    quantity=${0}    colour=red
    ${answer}=    Post    /orders    ${body}    expected=400
    Length Should Be    ${answer}[errors]    3
    ${after}=    Number Of Orders In MySQL
    Should Be Equal As Integers    ${after}    ${before}

An Unknown Order Or Path Is Not Found
    Get    /orders/999999999999    expected=404
    Get    /orders/999999999999/events    expected=404
    Get    /nothing    expected=404
    Get    /orders    expected=405

Requests Are Counted By Path Template And Health Checks Are Not
    ${order}=    Place Order    Donald    book    ${1}
    ${before}=    Counted Requests    GET    /orders/{id}    ${200}
    Get    /orders/${order}[id]
    Get    /orders/${order}[id]
    ${after}=    Counted Requests    GET    /orders/{id}    ${200}
    Should Be Equal As Integers    ${after}    ${before + 2}
    Get    /healthz
    Get    /readyz
    ${metrics}=    Get Text    /metrics
    Should Not Contain    ${metrics}    /healthz
    Should Not Contain    ${metrics}    /readyz
    Should Not Contain    ${metrics}    /orders/${order}[id]

*** Keywords ***
Place Order
    [Arguments]    ${customer}    ${item}    ${quantity}
    ${body}=    Create Dictionary    customer=${customer}    item=${item}    quantity=${quantity}
    ${answer}=    Post    /orders    ${body}    expected=201
    RETURN    ${answer}[order]
