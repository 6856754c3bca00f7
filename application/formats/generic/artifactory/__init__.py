"""The protocol of Artifactory, for clients and libraries that were written for it; over repositories of any format.

Source: the REST API as its clients use it (dohq-artifactory, jf); documentation at https://jfrog.com/help, "REST APIs".
"""
