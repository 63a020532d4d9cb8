*** Settings ***
Documentation     What parcels promises, seen through its API.
Library           RequestsLibrary
Library           Collections
Suite Setup       Open Parcels

*** Variables ***
${BASE_URL}       %{BASE_URL=http://127.0.0.1:8080}

*** Test Cases ***
The Rows Are In MySQL Itself
    ${answer}=    GET On Session    parcels    /readyz
    Should Start With    ${answer.json()}[mysql]    9.7.

A Parcel Has Its Last Place, And Every Move Is Told
    ${there}=    Create Dictionary    id=p-1    place=Zürich
    ${here}=    Create Dictionary    id=p-1    place=漢字
    POST On Session    parcels    /parcels    json=${there}    expected_status=201
    POST On Session    parcels    /parcels    json=${here}    expected_status=201
    ${answer}=    GET On Session    parcels    /parcels/p-1
    Dictionaries Should Be Equal    ${answer.json()}    ${here}
    ${moves}=    GET On Session    parcels    /moves
    ${expected}=    Create List    ${there}    ${here}
    Lists Should Be Equal    ${moves.json()}    ${expected}

An Unknown Parcel Is Not Found
    GET On Session    parcels    /parcels/nowhere    expected_status=404

*** Keywords ***
Open Parcels
    Create Session    parcels    ${BASE_URL}
    Wait Until Keyword Succeeds    120s    0.5s    GET On Session    parcels    /readyz
