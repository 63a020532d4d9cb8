*** Settings ***
Documentation     What __MODULE__ promises, seen through its API.
Suite Setup       Wait Until Keyword Succeeds    120 s    1 s    Answers    /readyz

*** Variables ***
${BASE_URL}       %{BASE_URL=http://127.0.0.1:__PORT__}

*** Test Cases ***
The Module Is Alive
    Answers    /healthz

The Module And Its Services Are Ready
    Answers    /readyz

The Module Says Its Name
    ${body}=    Answers    /
    ${told}=    Evaluate    json.loads($body)["module"]    modules=json
    Should Be Equal    ${told}    __MODULE__

*** Keywords ***
Answers
    [Documentation]    GETs a path, fails unless the answer is 2xx, and returns its body.
    [Arguments]    ${path}
    ${body}=    Evaluate    urllib.request.urlopen($BASE_URL + $path, timeout=10).read().decode()
    ...    modules=urllib.request
    RETURN    ${body}
